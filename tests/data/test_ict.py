"""People from the ICT model: the packed formula, the draw by seed, the written tree."""

import json

import numpy as np
import pytest
from PIL import Image

from facemill.data import ict, ict_release, ict_texture, sources
from facemill.data.expressions import EXPRESSIONS
from facemill.data.scans import read_scan
from facemill.errors import ConfigError, DataError
from facemill.mesh.io import read_mesh

REGIONS = {name: (9 * k, 4 * k) for k, name in enumerate(ict_release.REGION_STARTS)}
MATERIALS = {"eyeball_left": "M_ScleraLeft", "eyeball_right": "M_ScleraRight"}


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A small release in the public layout: every part a grid of 3 x 3 vertices."""
    root = tmp_path_factory.mktemp("release")
    folder = root / "FaceXModel"
    folder.mkdir()
    rng = np.random.default_rng(0)
    count = 9 * len(REGIONS)
    neutral = rng.normal(size=(count, 3)) * 5

    def corners(first, numbers):
        return "f " + " ".join(f"{first + k + 1}/{first + k + 1}" for k in numbers) + "\n"

    def obj(vertices):
        lines = ["mtllib m.mtl\n"]
        lines += [f"v {x:.9f} {y:.9f} {z:.9f}\n" for x, y, z in vertices]
        for name in REGIONS:
            tile = 1 if ict_texture.cell_of(name) == "head" else {"gums_tongue": 2}.get(name, 0)
            lines += [f"vt {tile + 0.1 + 0.4 * (k % 3)} {0.1 + 0.4 * (k // 3)}\n" for k in range(9)]
        for name, (first, _) in REGIONS.items():
            lines.append(f"usemtl {MATERIALS.get(name, 'M_Other')}\n")
            for a in (0, 1, 3):
                square = [a, a + 1, a + 4, a + 3]
                lines.append(corners(first, square))
            lines.append(corners(first, (4, 5, 8)))
        return "".join(lines)

    (folder / "generic_neutral_mesh.obj").write_text(obj(neutral))
    shapes = {f"identity{k:03d}": rng.normal(size=(count, 3)) for k in range(3)}
    shapes |= {name: rng.normal(size=(count, 3)) for name in ("jawOpen", "mouthSmile_L")}
    for name, offset in shapes.items():
        (folder / f"{name}.obj").write_text(obj(neutral + offset))
    indices = {"expressions": ["jawOpen", "mouthSmile_L"]}
    indices |= {key: list(range(5)) for key in ict_release.INDEX_KEYS.values()}
    indices["idx_to_landmark_verts"] = [int(k) for k in rng.integers(0, 45, 68)]
    (folder / "vertex_indices.json").write_text(json.dumps(indices))
    (root / "LICENSE").write_text("MIT")
    return root, neutral, shapes


@pytest.fixture(scope="module")
def packed(release, tmp_path_factory):
    out = tmp_path_factory.mktemp("packed") / "model"
    ict_release.pack_release(release[0], out, regions=REGIONS, modes=3)
    return out


def test_packing_keeps_the_formula(release, packed):
    _, neutral, shapes = release
    model = ict.load_model(packed)
    kept = np.concatenate([np.arange(9 * k, 9 * k + 9) for k in range(9)])
    assert len(model.neutral) == len(kept)
    weights = np.array([1.5, -2.0, 0.5])
    found = model.vertices(weights, {"jawOpen": 0.7})
    expected = neutral + sum(w * shapes[f"identity{k:03d}"] for k, w in enumerate(weights))
    expected += 0.7 * shapes["jawOpen"]
    # Each mode is rounded to 1/65534 of its largest offset.
    assert np.abs(found - expected[kept]).max() < 5e-4
    assert (packed / "LICENSE").read_text() == "MIT"
    assert set(ict.load_expressions(packed)["expressions"]) == set(EXPRESSIONS)
    with pytest.raises(DataError, match="noSuchMode"):
        model.vertices(weights, {"noSuchMode": 1.0})


def test_polygons_are_split_into_fans_and_unused_parts_left_out(packed):
    with np.load(packed / ict.MODEL_FILE) as arrays:
        assert arrays["tris"].shape == (17 * 7, 3)
        np.testing.assert_array_equal(arrays["tri_quad"][:7], [0, 0, 1, 1, 2, 2, 3])
        assert (arrays["quads"][:, 3] == -1).sum() == 17
    model = ict.load_model(packed)
    assert len(model.faces) == 9 * 7 and model.faces.max() == 80
    assert set(model.regions) == set(ict.REGIONS)


@pytest.fixture
def served(release):
    """The release behind addresses, listed with git object ids."""
    root = release[0]
    files = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    files["figures/face.png"] = b"not needed"
    tree = [
        {"path": path, "type": "blob", "sha": ict_release.git_blob_id(content)}
        for path, content in files.items()
    ]
    pages = {ict_release.FILE_ADDRESS + path: content for path, content in files.items()}
    pages[ict_release.TREE_ADDRESS] = json.dumps({"tree": tree, "truncated": False}).encode()
    return pages


def test_the_release_is_fetched_checked_and_packed(served, packed, tmp_path):
    asked = []

    def opener(address):
        asked.append(address)
        return served[address]

    ict_release.fetch_release(tmp_path / "model", opener, regions=REGIONS, modes=3)
    for name in (ict.MODEL_FILE, ict.EXPRESSION_FILE, "LICENSE"):
        assert (tmp_path / "model" / name).read_bytes() == (packed / name).read_bytes()
    assert not any("figures" in address for address in asked)
    assert all(ict_release.COMMIT in address for address in asked)


def test_a_file_of_another_content_is_refused_and_nothing_is_left(served, tmp_path):
    address = ict_release.FILE_ADDRESS + "FaceXModel/identity001.obj"
    served[address] += b"# changed\n"
    with pytest.raises(DataError, match=r"identity001\.obj: git object"):
        ict_release.fetch_release(tmp_path / "model", served.__getitem__, regions=REGIONS, modes=3)
    assert not (tmp_path / "model").exists()


def test_a_manifest_of_sums_is_checked_too(served, tmp_path):
    with pytest.raises(DataError, match="LICENSE: its SHA-256"):
        ict_release.fetch_release(
            tmp_path / "model", served.__getitem__, {"LICENSE": "0" * 64}, regions=REGIONS, modes=3
        )


def test_git_object_ids_are_gits():
    assert ict_release.git_blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert ict_release.git_blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_a_mode_with_other_vertices_is_refused(release, tmp_path):
    import shutil

    shutil.copytree(release[0], tmp_path / "broken")
    path = tmp_path / "broken" / "FaceXModel" / "identity002.obj"
    path.write_text("v 0 0 0\n")
    with pytest.raises(DataError, match=r"identity002\.obj: 1 vertices"):
        ict_release.pack_release(tmp_path / "broken", tmp_path / "out", REGIONS, 3)
    path.unlink()
    with pytest.raises(DataError, match=r"identity002\.obj: no such file"):
        ict_release.pack_release(tmp_path / "broken", tmp_path / "out", REGIONS, 3)


def test_people_depend_on_seed_and_name_alone():
    weights = ict.identity_weights(0, "i001", 0.8, 100)
    np.testing.assert_array_equal(weights, ict.identity_weights(0, "i001", 0.8, 100))
    assert not np.allclose(weights, ict.identity_weights(0, "i002", 0.8, 100))
    assert not np.allclose(weights, ict.identity_weights(1, "i001", 0.8, 100))
    many = np.concatenate([ict.identity_weights(0, f"i{k:03d}", 1.0, 100) for k in range(100)])
    assert np.abs(many).max() == ict.IDENTITY_LIMIT and abs(many.std() - 0.98) < 0.03


def test_expression_weights_vary_within_the_jitter():
    table = {"jitter": [0.8, 1.1], "expressions": {"2_smile": {"a": 0.7}, "1_neutral": {}}}
    drawn = [ict.expression_weights(table, 0, f"i{k:03d}", "2_smile")["a"] for k in range(50)]
    assert min(drawn) >= 0.56 and max(drawn) <= 0.77 and max(drawn) - min(drawn) > 0.1
    assert ict.expression_weights(table, 0, "i001", "1_neutral") == {}
    with pytest.raises(DataError, match="3_mouth_stretch"):
        ict.expression_weights(table, 0, "i001", "3_mouth_stretch")


def test_the_atlas_keeps_parts_in_cells_of_their_own(packed):
    model = ict.load_model(packed)
    uv = ict_texture.atlas_uv(model)
    cells = {}
    for number, region in enumerate(ict.REGIONS):
        rows = np.unique(model.faces_uv[model.face_region == number])
        left, bottom, right, top = np.array(ict_texture.CELLS[ict_texture.cell_of(region)]) / 16
        assert (uv[rows] >= [left, bottom]).all() and (uv[rows] <= [right, top]).all()
        cells[ict_texture.cell_of(region)] = (left, bottom, right, top)
    area = sum((right - left) * (top - bottom) for left, bottom, right, top in cells.values())
    assert np.isclose(area, 1.0)


def test_a_model_that_is_not_there_or_cut_short_is_refused(packed, tmp_path):
    with pytest.raises(ConfigError, match="ict_model"):
        sources.ict_model_folder({"ict_model": str(tmp_path)})
    whole = (packed / ict.MODEL_FILE).read_bytes()
    (tmp_path / ict.MODEL_FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"ict_face_model_light\.npz"):
        ict.load_model(tmp_path)


@pytest.fixture(scope="module")
def real(open_data, tmp_path_factory):
    """Settings for the real model and one written person with two expressions."""
    settings = {
        "dataset": "ict",
        "ict_model": str(open_data / "ict"),
        "expressions": ["1_neutral", "3_mouth_stretch"],
        "seed": 0,
        "ict": {"texture_size": 128, "identity_spread": 0.8, "textures": None},
    }
    root = tmp_path_factory.mktemp("ict people äö")
    sources.write_person(settings, "i001", root / "i001")
    sources.write_topologies(settings, root / "topology")
    return settings, root


def test_a_real_person_reads_back_as_an_upright_face_in_millimetres(real):
    from facemill.data.topology import load_topologies

    _, root = real
    topologies = load_topologies(root / "topology")
    neutral = read_scan(root / "i001", "1_neutral", topologies)
    stretched = read_scan(root / "i001", "3_mouth_stretch", topologies)
    assert neutral.topology == "ict" and neutral.texture == root / "i001" / "skin.jpg"
    assert Image.open(neutral.texture).size == (128, 128)
    assert 70 < np.linalg.norm(neutral.landmarks[45] - neutral.landmarks[36]) < 110
    # The jaw opens, the eyes stay.
    assert neutral.landmarks[8, 1] - stretched.landmarks[8, 1] > 15
    np.testing.assert_allclose(neutral.landmarks[36], stretched.landmarks[36], atol=0.5)


def test_the_real_topology_has_regions_and_an_exact_mirror(real, open_data):
    from facemill.data.topology import load_topology

    topology = load_topology(real[1] / "topology" / "ict.npz")
    model = ict.load_model(open_data / "ict")
    assert topology.n_vertices == 22991 and len(topology.regions["skin"]) == 14062
    np.testing.assert_array_equal(topology.mirror[topology.mirror], np.arange(22991))
    across = model.neutral * [-1.0, 1.0, 1.0] - model.neutral[topology.mirror]
    assert np.abs(across).max() < 0.03
    # Landmark 36 is across from 45, the chin from itself.
    assert topology.mirror[topology.landmarks[36]] == topology.landmarks[45]
    assert topology.mirror[topology.landmarks[8]] == topology.landmarks[8]


def test_a_real_person_is_the_same_bytes_again(real, tmp_path):
    settings, root = real
    sources.write_person(settings | {"expressions": ["1_neutral"]}, "i001", tmp_path / "i001")
    for name in ("1_neutral.obj", "skin.jpg"):
        assert (tmp_path / "i001" / name).read_bytes() == (root / "i001" / name).read_bytes()


def test_heads_are_aligned_rigidly_on_the_mean(open_data):
    model = ict.load_model(open_data / "ict")
    table = ict.load_expressions(open_data / "ict")
    for person in ("i001", "i002"):
        scans = ict.person_vertices(model, table, person, ["1_neutral"], 1.0, 0)
        moved = scans["1_neutral"][model.rigid] / 10 - model.neutral[model.rigid]
        assert np.abs(moved.mean(axis=0)).max() < 1e-9


def test_without_skin_maps_the_skin_is_plain(open_data, caplog):
    model = ict.load_model(open_data / "ict")
    with caplog.at_level("INFO"):
        skin = ict_texture.person_texture(model, None, "i001", 64, 0)
    assert skin.shape == (64, 64, 3) and "no skin maps" in caplog.text
    with pytest.raises(DataError, match=r"ict\.textures"):
        ict_texture.textures_folder("/none", open_data / "ict")


def test_seams_between_atlas_cells_agree_in_colour(open_data):
    model = ict.load_model(open_data / "ict")
    skin = ict_texture.person_texture(model, open_data / "ict_textures", "i001", 512, 0) / 255.0
    uv = ict_texture.atlas_uv(model)
    face, head = ict.REGIONS.index("face"), ict.REGIONS.index("head_neck")

    def colours(region):
        chosen = model.face_region == region
        vertices, first = np.unique(model.faces[chosen], return_index=True)
        at = uv[model.faces_uv[chosen].ravel()[first]]
        rows = ((1 - at[:, 1]) * 512).astype(int)
        return dict(zip(vertices, skin[rows, (at[:, 0] * 512).astype(int)], strict=True))

    one, other = colours(face), colours(head)
    shared = sorted(set(one) & set(other))
    assert len(shared) > 100
    difference = np.array([np.abs(one[v] - other[v]).max() for v in shared])
    assert np.median(difference) < 0.03


def test_a_written_mesh_reads_as_the_model_has_it(real, open_data):
    model = ict.load_model(open_data / "ict")
    mesh = read_mesh(real[1] / "i001" / "1_neutral.obj")
    np.testing.assert_array_equal(mesh.faces, model.faces)
    np.testing.assert_array_equal(mesh.faces_uv, model.faces_uv)
