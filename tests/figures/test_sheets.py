"""Contact sheets are drawn from packs; empty cells, missing textures and wrong names."""

import numpy as np
import pytest
from PIL import Image

from facemill.data.packs import PreparedScan, write_face_pack, write_sample_pack
from facemill.errors import DataError
from facemill.figures.sheets import data_sheet, mesh_figure, slice_picture, views_sheet
from facemill.files import write_json
from facemill.mesh.frames import Similarity
from facemill.render.views import render_person


@pytest.fixture(scope="module")
def folder(tmp_path_factory, egg):
    """Two people; the second lacks an expression and has no manifest."""
    folder = tmp_path_factory.mktemp("sheets")
    scan = PreparedScan(egg, np.zeros((68, 3), np.float32), egg, egg, Similarity())
    Image.new("RGB", (32, 32), (150, 40, 40)).save(folder / "skin.png")
    names = ["1_neutral", "2_smile"]
    write_face_pack(folder / "d001.npz", dict.fromkeys(names, scan))
    write_face_pack(folder / "d002.npz", {"1_neutral": scan})
    entry = {"status": "ok", "texture": str(folder / "skin.png")}
    write_json(folder / "d001.json", {"person": "d001", "scans": dict.fromkeys(names, entry)})
    return folder


def colours_of(path) -> np.ndarray:
    return np.array(Image.open(path).convert("RGB")).reshape(-1, 3).astype(int)


def test_people_by_expressions(folder):
    out = folder / "data_sheet.png"
    packs = [folder / "d001.npz", folder / "d002.npz"]
    data_sheet(packs, ["1_neutral", "2_smile"], out, size=60)
    pixels = colours_of(out)
    red = (pixels[:, 0] > 2 * pixels[:, 1]) & (pixels[:, 0] > 80)
    clay = (np.abs(pixels - pixels.mean(axis=1, keepdims=True)).max(axis=1) < 25) & (
        (pixels < 235).all(axis=1) & (pixels > 120).all(axis=1)
    )
    assert red.sum() > 1.15 * clay.sum() > 500  # two textured heads, one of clay, one cell empty


def test_expressions_that_nobody_has_are_refused_by_name(folder):
    with pytest.raises(DataError, match="5_jaw_left"):
        data_sheet([folder / "d001.npz"], ["5_jaw_left"], folder / "none.png")
    assert not (folder / "none.png").exists()


def test_views_of_a_person(folder):
    settings = {"size": 32, "pitches": [-30, 0, 45], "yaws": 4}
    pack = folder / "views" / "d001.zip"
    render_person(
        folder / "d001.npz", folder / "d001.json", settings, pack, folder / "views" / "d001.json"
    )
    views_sheet([pack], folder / "views.png", cell=0.3)
    assert Image.open(folder / "views.png").width > 8 * 0.3 * 200
    with pytest.raises(DataError, match="no view pack"):
        views_sheet([], folder / "none.png")


def test_a_scans_way_to_its_samples(folder):
    rng = np.random.default_rng(0)
    rows = np.zeros((3000, 7), np.float32)
    rows[:, :3] = rng.uniform(-90, 90, (3000, 3))
    rows[1000:, 6] = rows[1000:, 2]
    manifest = {
        "expressions": ["1_neutral"], "surface_points": 1000, "free_points": 2000,
        "landmarks": {"1_neutral": np.zeros((68, 3)).tolist()},
    }  # fmt: skip
    write_sample_pack(folder / "samples" / "d001.npy", manifest, [rows])
    out = folder / "mesh_figure.png"
    mesh_figure(folder / "d001.npz", folder / "samples" / "d001.npy", "1_neutral", out, size=80)
    assert Image.open(out).width > 4 * 80
    # In the slice, what lies in front (+z, to the right) is red, what lies behind is blue.
    picture = slice_picture(rows, 200, 240)[:190].astype(int)
    reddish = (picture[..., 0] - picture[..., 2]) * (picture[..., 3] > 0)
    assert reddish[:, 100:].sum() > 0 > reddish[:, :100].sum()
