"""Mesh files: vertex order is kept, what is broken is refused by name."""

import numpy as np
import pytest
import trimesh

from facemill.errors import DataError, FacemillError, GeometryError
from facemill.mesh.io import find_texture, read_mesh, read_texture, write_obj, write_ply
from facemill.mesh.surface import Mesh

TETRAHEDRON = Mesh(
    np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]]),
    np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 1.0]]),
    np.array([[0, 2, 1], [0, 1, 2], [0, 1, 2], [0, 2, 1]]),
)


def written(folder, text, name="a.obj"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_an_obj_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / "Gesichter mit Leerzeichen ä" / "1_neutral.obj"
    vertices = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    mesh = Mesh(vertices, np.arange(48).reshape(16, 3), TETRAHEDRON.uv, np.zeros((16, 3), int))
    write_obj(path, mesh, "1_neutral.jpg")
    back = read_mesh(path)
    for key in ("vertices", "faces", "uv", "faces_uv"):
        expected = getattr(mesh, key)
        np.testing.assert_array_equal(getattr(back, key).astype(expected.dtype), expected)
    assert not list(path.parent.glob("*.part*"))


@pytest.mark.parametrize("corner", ["{v}", "{v}/{t}", "{v}//{t}", "{v}/{t}/{t}"])
def test_all_forms_of_face_corners_are_read(tmp_path, corner):
    corners = " ".join(corner.format(v=v, t=t) for v, t in [(1, 1), (2, 2), (3, 1)])
    mesh = read_mesh(
        written(tmp_path, f"v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvn 0 0 1\nf {corners}\n")
    )
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2]])
    if "/{t}" in corner and "//" not in corner:
        np.testing.assert_array_equal(mesh.faces_uv, [[0, 1, 0]])
    else:
        assert mesh.uv is None


def test_polygons_are_split_into_fans_in_order_and_unused_vertices_stay(tmp_path):
    vertices = "".join(f"v {i} 0 {i * i}\n" for i in range(7))
    mesh = read_mesh(written(tmp_path, vertices + "f 1 2 3 4 5\nf 2 3 4\nf 3 4 5 6\n"))
    expected = [[0, 1, 2], [0, 2, 3], [0, 3, 4], [1, 2, 3], [2, 3, 4], [2, 4, 5]]
    np.testing.assert_array_equal(mesh.faces, expected)
    assert len(mesh.vertices) == 7


def test_negative_numbers_count_back_from_what_was_defined_so_far(tmp_path):
    text = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\nv 5 0 0\nf -4 -3 -1\nf 1 2 4\n"
    np.testing.assert_array_equal(
        read_mesh(written(tmp_path, text)).faces, [[0, 1, 2], [0, 1, 3], [0, 1, 3]]
    )


def test_colours_after_coordinates_and_windows_line_ends_are_harmless(tmp_path):
    text = (
        "# head\r\no a b\r\nv 0 0 0 1 1 1\r\nv 1 0 0 1 1 1\r\nv 0 1 0 1 1 1\r\ns off\r\nf 1 2 3\r\n"
    )
    assert read_mesh(written(tmp_path, text)).vertices.shape == (3, 3)


TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\n"


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("", DataError, "empty"),
        ("# only a comment\n", GeometryError, "0 vertices"),
        (TRIANGLE, GeometryError, "0 faces"),
        ("v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", GeometryError, "vertex 0 is not a finite"),
        (TRIANGLE + "f 1 2 9\n", GeometryError, "names vertex 8"),
        (TRIANGLE + "f -9 2 3\n", GeometryError, "names vertex"),
        (TRIANGLE + "vt 0 0\nf 1/1 2/1 3/4\n", GeometryError, "texture coordinate 3"),
        (TRIANGLE + "f 0 1 2\n", DataError, "counts from 1"),
        (TRIANGLE + "f 1 2\n", DataError, "2 corners"),
        (TRIANGLE + "f 1 2 x\n", DataError, "face line"),
        ("v 0 0 0\nv 1 zero 0\nv 0 1 0\nf 1 2 3\n", DataError, "not made of numbers"),
        ("v 0 0 0\nv 1 0\nv 0 1 0\nf 1 2 3\n", DataError, "holds 2 numbers"),
        ("v 0 0 0\nv 1 0\nv 0 1 0 4\nf 1 2 3\n", DataError, "holds 2 numbers"),
    ],
)
def test_a_broken_obj_is_refused_with_its_name(tmp_path, text, error, says):
    path = written(tmp_path, text)
    with pytest.raises(error, match=says) as caught:
        read_mesh(path)
    assert str(path) in str(caught.value)


def test_ply_stl_and_glb_are_read(tmp_path):
    import trimesh

    shape = trimesh.Trimesh(TETRAHEDRON.vertices, TETRAHEDRON.faces, process=False)
    write_ply(tmp_path / "a.ply", TETRAHEDRON)
    shape.export(tmp_path / "a.stl")
    scene = trimesh.Scene()
    move = np.diag([2.0, 2.0, 2.0, 1.0])
    move[0, 3] = 5.0
    scene.add_geometry(shape, transform=move)
    scene.add_geometry(trimesh.Trimesh(shape.vertices + 9, shape.faces, process=False))
    scene.export(tmp_path / "a.glb")
    ply = read_mesh(tmp_path / "a.ply")
    np.testing.assert_array_equal(ply.vertices, TETRAHEDRON.vertices)
    np.testing.assert_array_equal(ply.faces, TETRAHEDRON.faces)
    stl = read_mesh(tmp_path / "a.stl")
    assert stl.vertices.shape == (4, 3)
    np.testing.assert_allclose(stl.vertices[stl.faces], ply.vertices[ply.faces])
    glb = read_mesh(tmp_path / "a.glb")
    assert glb.vertices.shape == (8, 3) and glb.faces.max() == 7
    np.testing.assert_allclose(glb.vertices[:4], TETRAHEDRON.vertices * 2 + [5, 0, 0], atol=1e-6)


def test_ply_carries_normals_and_colours(tmp_path):
    normals = np.float32(TETRAHEDRON.vertices / 4.0 + 0.125)
    colours = np.arange(12, dtype=np.uint8).reshape(4, 3)
    write_ply(tmp_path / "a.ply", TETRAHEDRON, normals, colours)
    found = trimesh.load_mesh(tmp_path / "a.ply", process=False)
    np.testing.assert_array_equal(found.vertices, TETRAHEDRON.vertices)
    np.testing.assert_array_equal(found.faces, TETRAHEDRON.faces)
    raw = found.metadata["_ply_raw"]["vertex"]["data"]  # the reader makes normals of its own
    np.testing.assert_array_equal(np.stack([raw[k] for k in ("nx", "ny", "nz")], -1), normals)
    np.testing.assert_array_equal(found.visual.vertex_colors[:, :3], colours)


@pytest.mark.parametrize("name", ["a.ply", "a.stl", "a.glb", "a.fbx", "missing.obj"])
def test_a_file_that_is_no_mesh_is_one_clear_error(tmp_path, name):
    path = tmp_path / name
    if not name.startswith("missing"):
        path.write_bytes(b"this is not a mesh at all")
    with pytest.raises(FacemillError, match=name):
        read_mesh(path)


def test_a_truncated_ply_is_refused(tmp_path):
    write_ply(tmp_path / "a.ply", TETRAHEDRON)
    whole = (tmp_path / "a.ply").read_bytes()
    (tmp_path / "a.ply").write_bytes(whole[:-20])
    with pytest.raises(FacemillError, match=r"a\.ply"):
        read_mesh(tmp_path / "a.ply")


def test_the_texture_is_found_by_name_then_by_material(tmp_path):
    from PIL import Image

    path = tmp_path / "2_smile.obj"
    assert find_texture(path) is None
    write_obj(path, TETRAHEDRON, "C:\\scans\\skin map.png")
    assert find_texture(path) is None
    Image.new("RGB", (4, 3)).save(tmp_path / "skin map.png")
    assert find_texture(path) == tmp_path / "skin map.png"
    Image.new("RGB", (4, 3), (10, 20, 30)).save(tmp_path / "2_smile.png")
    assert find_texture(path) == tmp_path / "2_smile.png"
    assert read_texture(tmp_path / "2_smile.png").shape == (3, 4, 3)
    assert tuple(read_texture(tmp_path / "2_smile.png")[0, 0]) == (10, 20, 30)


def test_a_texture_that_is_no_image_is_refused(tmp_path):
    path = written(tmp_path, "no image", "1_neutral.jpg")
    with pytest.raises(DataError, match=r"1_neutral\.jpg"):
        read_texture(path)
    with pytest.raises(DataError, match="no such file"):
        read_texture(tmp_path / "none.jpg")
