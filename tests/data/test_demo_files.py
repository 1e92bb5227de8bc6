"""Demo textures and the tree written for a person."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from facemill.data import demo
from facemill.data.demo.skin_colour import lab_to_srgb, skin_tone


def test_importing_the_package_is_light():
    code = "import sys, facemill.data.demo; print('scipy' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_lab_meets_known_colours():
    lab = np.array([[100.0, 0, 0], [0.0, 0, 0], [53.24, 80.09, 67.20]])
    assert np.allclose(lab_to_srgb(lab), [[1, 1, 1], [0, 0, 0], [1, 0, 0]], atol=0.01)


def test_skin_darkens_with_tone():
    light = [skin_tone(t)[0] for t in np.linspace(0, 1, 9)]
    assert (np.diff(light) < 0).all()


def test_texture_repeats_and_differs_between_people():
    one, again, other = (demo.texture(p, 0, 256) for p in ("d001", "d001", "d003"))
    assert one.tobytes() == again.tobytes()
    assert np.abs(one.astype(int) - other).mean() > 5


def test_texture_is_upright():
    """Row 0 is v = 1: hair at the top of the image, eyes and teeth in the strip at its foot."""
    image = demo.texture("d003", 0, 256).astype(float)
    topology = demo.topology()
    tip = int(topology.landmarks[30])
    where = topology.faces == tip
    u, v = topology.uv[topology.faces_uv[where][0]]
    assert u == pytest.approx(0.5, abs=0.01)
    skin = image[int((1 - v) * 256), int(u * 256)]
    assert skin[0] > skin[2], "skin is red rather than blue"
    pupil = image[int((1 - 0.075) * 256), int(0.075 * 256)]
    assert pupil.mean() < 40


def numbers(lines, key):
    return [line.split()[1:] for line in lines if line.startswith(key + " ")]


def test_tree_of_a_person(tmp_path):
    folder = tmp_path / "d001"
    demo.write_person("d001", ["1_neutral", "3_mouth_stretch"], 0, 128, folder)
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        "1_neutral.jpg", "1_neutral.obj", "1_neutral.obj.mtl",
        "3_mouth_stretch.obj", "3_mouth_stretch.obj.mtl",
    ]  # fmt: skip
    assert Image.open(folder / "1_neutral.jpg").size == (128, 128)
    topology = demo.topology()
    for name in ("1_neutral", "3_mouth_stretch"):
        assert "map_Kd 1_neutral.jpg" in (folder / f"{name}.obj.mtl").read_text()
        lines = (folder / f"{name}.obj").read_text().splitlines()
        assert lines[0] == f"mtllib {name}.obj.mtl"
        vertices = np.array(numbers(lines, "v"), float)
        assert np.abs(vertices - demo.head("d001", name, 0)).max() < 1e-4
        assert np.abs(np.array(numbers(lines, "vt"), float) - topology.uv).max() < 1e-6
        corners = np.array([[c.split("/") for c in face] for face in numbers(lines, "f")], int) - 1
        assert np.array_equal(corners[..., 0], topology.faces)
        assert np.array_equal(corners[..., 1], topology.faces_uv)
    assert [path.name for path in tmp_path.iterdir()] == ["d001"], "no part folder is left"
