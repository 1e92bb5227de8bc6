"""Points carried from face to face through the template, their errors, colours and textures."""

import numpy as np
import pytest
import torch
from synthetic_faces import EXPRESSIONS

from facemill.data.packs import FacePack, PreparedScan, write_face_pack
from facemill.errors import ConfigError, DataError
from facemill.files import write_json
from facemill.imface.config import ExtractionConfig
from facemill.imface.correspondence import (
    carry,
    match,
    seen_vertices,
    template_colours,
    template_places,
)
from facemill.imface.correspondence_errors import (
    NEAREST,
    FittedScan,
    correspondence_table,
    errors_of,
    pairs,
)
from facemill.imface.correspondence_figures import (
    correspondence_colours,
    painting,
    skin,
    squares,
    texture_transfer,
    with_xy,
)
from facemill.imface.fit import fit_person
from facemill.imface.interpolate import ScanCodes
from facemill.imface.model import load_model
from facemill.imface.reconstruct import reconstruct
from facemill.mesh.frames import Similarity
from facemill.mesh.surface import Mesh
from facemill.metrics.tables import read_table

FIT = {
    "fit": {
        "steps": 60,
        "points": 256,
        "learning_rate": 2e-2,
        "weights": {"identity_code": 1e3, "expression_code": 1e3},
    },
    "extraction": {"resolution": 32},
}


@pytest.fixture(scope="module")
def fits(tiny_imface, tmp_path_factory):
    """Folder of the fits of both unseen people."""
    folder = tmp_path_factory.mktemp("fits")
    for person in tiny_imface.data.test:
        samples = tiny_imface.data.samples(person)
        fit_person(tiny_imface.model, samples, FIT, folder / "w", folder / f"{person}.npz", 1)
    return folder


@pytest.fixture(scope="module")
def model(tiny_imface):
    return load_model(tiny_imface.model)[0].requires_grad_(False)


def plane(n: int = 9, half: float = 40.0) -> Mesh:
    """A square at z = 0 with n x n vertices."""
    axis = np.linspace(-half, half, n)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(n * n)], axis=-1)
    i = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).ravel()
    faces = np.concatenate(
        [np.stack([i, i + n, i + n + 1], -1), np.stack([i, i + n + 1, i + 1], -1)]
    )
    return Mesh(vertices, faces)


def test_a_match_is_a_point_inside_a_triangle_not_a_vertex():
    surface = plane(2)
    points = np.array([[10.0, -5.0, 3.0], [-7.5, 20.0, -2.0]])
    found = match(points, surface)
    np.testing.assert_allclose(found.distance, [3.0, 2.0])
    places = found.interpolate(surface.vertices, surface.faces)
    np.testing.assert_allclose(places, points * [1, 1, 0], atol=1e-9)


def test_a_face_corresponds_with_itself(model):
    identity, expression = model.codes(torch.tensor([0]), torch.tensor([1]))
    codes = ScanCodes(identity[0], expression[0])
    surface = reconstruct(model, codes.identity, codes.expression, ExtractionConfig(resolution=24))
    there = carry(model, surface.vertices, codes, surface, codes)
    np.testing.assert_allclose(there, surface.vertices, atol=1e-3)


def test_template_places_are_the_models_own_in_millimetres_whatever_the_batches(model):
    identity, expression = model.codes(torch.tensor([1]), torch.tensor([0]))
    points = np.random.default_rng(0).uniform(-50, 50, (131, 3))
    places = template_places(model, ScanCodes(identity[0], expression[0]), points, batch_points=40)
    unit = torch.from_numpy(points / 100).float()[None]
    plain = model.field(unit, model.condition(identity, expression)).template_points
    np.testing.assert_allclose(places, 100 * plain[0].numpy(), atol=1e-4)


@pytest.fixture
def half_seen(tmp_path):
    """A face pack whose sheet begins at x = 0 and has other vertex numbers than the scan."""
    mesh = plane()
    kept = mesh.vertices[:, 0] >= 0
    number = np.cumsum(kept) - 1
    sheet = Mesh(mesh.vertices[kept], number[mesh.faces[kept[mesh.faces].all(axis=1)]])
    prepared = PreparedScan(mesh, np.zeros((68, 3)), sheet, sheet, Similarity())
    write_face_pack(tmp_path / "p.npz", {"1_neutral": prepared})
    return FacePack(tmp_path / "p.npz")


def test_seen_vertices_are_those_of_the_sheet(half_seen):
    scan = half_seen.registered("1_neutral")
    np.testing.assert_array_equal(seen_vertices(half_seen, "1_neutral"), scan.vertices[:, 0] >= 0)


def test_errors_are_distances_from_the_truth():
    points = np.arange(12.0).reshape(4, 3)
    questions = {"a": (points, points), "b": (points[:1], points[:1] + np.array([0, 0, 7.0]))}
    errors = errors_of(questions, lambda given: given + np.array([3.0, 4.0, 0.0]))
    assert errors["a_mean"] == errors["a_median"] == pytest.approx(5.0)
    assert errors["b_mean"] == pytest.approx(np.sqrt(25 + 49))


def scan(name: str) -> FittedScan:
    mesh, codes = plane(2), ScanCodes(torch.zeros(1), torch.zeros(1))
    return FittedScan(name, mesh, np.zeros((68, 3)), np.ones(4, bool), codes, mesh, mesh)


def test_pairs_are_each_person_with_the_next_and_neutral_with_the_others():
    scans = {
        "1_neutral": [scan("a/1_neutral"), scan("b/1_neutral")],
        "4_anger": [scan("b/4_anger")],
    }
    found = [(kind.split(", ")[1], a.name, b.name) for kind, a, b in pairs(scans, ["4_anger"])]
    assert found == [
        ("seen expressions", "a/1_neutral", "b/1_neutral"),
        ("seen expressions", "b/1_neutral", "a/1_neutral"),
        ("neutral to unseen expressions", "b/1_neutral", "b/4_anger"),
    ]


def test_landmarks_of_one_face_land_on_those_of_another(tiny_imface, fits, tmp_path):
    """Within 3 mm in the median, nearer than by the nearest point in space; dense ones as well."""
    data, out = tiny_imface.data, tmp_path / "t.csv"
    correspondence_table(
        data.index, data.faces(), {"se3": (tiny_imface.model, fits)}, {"points": 800}, out
    )
    value = {(r.method, r.split, r.metric): r.value for r in read_table(out)}
    between = "unseen people to each other, seen expressions"
    for metric in ("landmark_transfer_median", "correspondence_median"):
        assert value["se3", between, metric] < 3.0
        assert value["se3", between, metric] < 0.95 * value[NEAREST, between, metric]
    assert {r.n for r in read_table(out) if r.split == between} == {2 * (len(EXPRESSIONS) - 1)}


def test_what_cannot_be_compared_is_said(tiny_imface, fits, tmp_path):
    data = tiny_imface.data
    methods = {"se3": (tiny_imface.model, fits)}
    with pytest.raises(ConfigError, match=r"imface\.correspondence\.points: found 0"):
        correspondence_table(data.index, data.faces(), methods, {"points": 0}, tmp_path / "t.csv")
    split = {"test": [data.test[0]], "seen_expressions": ["1_neutral"], "unseen_expressions": []}
    write_json(tmp_path / "index.json", {"split": split})
    with pytest.raises(DataError, match="no two fitted scans"):
        correspondence_table(tmp_path / "index.json", data.faces(), methods, {}, tmp_path / "t.csv")


def test_colours_tell_places_apart_and_lines_are_ten_millimetres_apart():
    xy = np.array([[0.0, 0.0], [60.0, 0.0], [-60.0, 0.0], [0.0, 60.0], [0.0, -60.0]])
    colours = template_colours(xy).astype(float)
    apart = np.linalg.norm(colours[:, None] - colours, axis=-1)
    assert apart[~np.eye(5, dtype=bool)].min() > 60
    along = np.stack([np.arange(0.0, 30.0, 0.25), np.full(120, 5.0)], axis=-1)
    darker = template_colours(along, lines=True).sum(1) < template_colours(along).sum(1) - 10.0
    np.testing.assert_array_equal(np.unique(along[darker, 0].round(-1)), [0, 10, 20, 30])
    assert darker.mean() < 0.3


def test_a_surface_that_wears_its_own_texture_shows_it():
    surface = with_xy(plane())
    texture = squares(256)
    image = painting(surface, surface, texture, size=64)
    rows, columns = np.divmod(np.arange(64 * 64), 64)
    inside = (np.abs(rows - 31.5) < 12) & (np.abs(columns - 31.5) < 12)
    expected = texture.reshape(64, 4, 64, 4, 3).astype(float).mean(axis=(1, 3)).reshape(-1, 3)
    difference = np.abs(image.reshape(-1, 3) - expected)[inside]
    assert np.median(difference) < 2 and difference.mean() < 12
    assert image[0, 0].any()  # beyond the surface: the nearest texel, not black


def test_a_skin_is_what_is_seen_and_without_a_texture_has_squares(half_seen):
    mesh, texture = skin(half_seen, "1_neutral")
    assert mesh.vertices[mesh.faces][..., 0].min() == 0
    assert len(mesh.faces) == len(half_seen.registered("1_neutral").faces) / 2
    np.testing.assert_array_equal(texture, squares(768))
    np.testing.assert_allclose(200 * mesh.uv - 100, mesh.vertices[:, :2], atol=1e-4)


def test_pictures_of_correspondence_are_drawn(tiny_imface, fits, tmp_path):
    settings = {"rows": 2, "steps": 3, "size": 48, "resolution": 24}
    files = [fits / f"{person}.npz" for person in tiny_imface.data.test]
    faces = tiny_imface.data.faces()
    correspondence_colours(tiny_imface.model, files, settings, tmp_path / "colours.png")
    texture_transfer(tiny_imface.model, files, faces, settings, tmp_path / "texture.png")
    for name in ("colours", "texture"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
