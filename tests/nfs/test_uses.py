"""From files to files: a take cloned, a mesh driven, weights read off it, sheets."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from small_nfs import OPERATORS, SMALL, made
from small_nfs_uses import ict_units, live_link_take

from facemill.data.sequences import mesh_sequence
from facemill.errors import ConfigError
from facemill.mesh.glb import read_glb_morphs
from facemill.mesh.io import read_mesh
from facemill.nfs.model import save_model
from facemill.nfs.operators import operators_build
from facemill.nfs.rig import Weights, write_weights
from facemill.nfs.use_figures import moved_colours, rig_sheet, segment_colours, segments_figure
from facemill.nfs.uses import inverse_rig, retarget_one, rig

SETTINGS = {"size": 40, "chunk": 2, "fps": 10.0}


def read_table(path) -> list[list[str]]:
    with open(path, newline="") as file:
        return list(csv.reader(file))


def test_a_take_is_cloned_to_the_target_s_own_file(take, demo_model, tmp_path):
    source = mesh_sequence(str(take / "source"), None)
    target, model = take / "target.obj", take / "model.safetensors"
    retarget_one(
        model, source.neutral, take / "neutral.npz", source.frames, target, take / "target.npz",
        SETTINGS | {"gains": {demo_model.units[0]: 2}}, tmp_path,
    )  # fmt: skip
    still, found = read_mesh(target), read_mesh(tmp_path / "frames/f2.obj")
    np.testing.assert_array_equal(found.faces, still.faces)
    moved = np.abs(found.vertices - still.vertices).max()
    assert 1e-4 < moved < 200, "millimetres, as the file"
    assert list(read_glb_morphs(tmp_path / "animation.glb").targets) == ["f1", "f2"]
    assert (tmp_path / "preview.gif").read_bytes().startswith(b"GIF89a")
    picture = np.asarray(Image.open(tmp_path / "preview.png"))[..., :3]
    assert picture.min() < 128 < picture.max(), "faces on paper"
    header, *rows = read_table(tmp_path / "weights.csv")
    assert tuple(header[1:]) == demo_model.units and [row[0] for row in rows] == ["f1", "f2"]
    inverse_rig(
        model, source.neutral, take / "neutral.npz", source.frames, SETTINGS, tmp_path / "w.csv"
    )
    assert read_table(tmp_path / "w.csv") == [header, *rows], "gains are the target's alone"


def test_a_mesh_is_driven_by_a_table(take, demo_model, tmp_path):
    units = demo_model.units
    weights = np.zeros((2, len(units)))
    weights[1, 1] = 1.0
    write_weights(tmp_path / "w.csv", units, Weights(("rest", "smile"), weights))
    rig(
        take / "model.safetensors", take / "target.obj", take / "target.npz", tmp_path / "w.csv",
        SETTINGS, tmp_path / "out",
    )  # fmt: skip
    still = read_mesh(take / "target.obj").vertices
    rest = read_mesh(tmp_path / "out/frames/rest.obj").vertices
    smile = read_mesh(tmp_path / "out/frames/smile.obj").vertices
    np.testing.assert_allclose(rest, still, atol=1e-3)
    found = read_glb_morphs(tmp_path / "out/rig.glb")
    assert tuple(found.targets) == units and found.weights.shape == (2, len(units))
    np.testing.assert_allclose(found.targets[units[1]], smile - still, atol=1e-2)


def test_a_face_tracking_app_s_take_drives_a_mesh(take, tmp_path):
    config = replace(SMALL, anchored=True, code=60, units=53)
    save_model(tmp_path / "model.safetensors", made(config), ict_units(), {})
    rows = [{"JawOpen": 1.0}, {"TongueOut": 1.0, "HeadYaw": 0.3}]
    table = live_link_take(tmp_path / "take.csv", rows)
    out = tmp_path / "out"
    rig(
        tmp_path / "model.safetensors", take / "target.obj", take / "target.npz", table, SETTINGS,
        out,
    )  # fmt: skip
    still = read_mesh(take / "target.obj").vertices
    opened, rest = (read_mesh(out / f"frames/{name}.obj").vertices for name in ("0000", "0001"))
    np.testing.assert_allclose(rest, still, atol=1e-3)
    found = read_glb_morphs(out / "rig.glb")
    np.testing.assert_allclose(found.targets["jawOpen"], opened - still, atol=1e-2)
    assert np.abs(opened - still).max() > 1e-2


def test_settings_that_are_none_are_named(take, tmp_path):
    arguments = [take / "model.safetensors", take / "target.obj", take / "target.npz", "w.csv"]
    with pytest.raises(ConfigError, match=r"retarget.smoth: unknown key; did you mean 'smooth'"):
        rig(*arguments, {"smoth": 1.0}, tmp_path)
    with pytest.raises(ConfigError, match="fps: found 0"):
        rig(*arguments, {"fps": 0.0}, tmp_path)


def test_sheets_are_pictures(take, people, tmp_path):
    model = take / "model.safetensors"
    rig_sheet(model, people, tmp_path / "sheet.png", size=24)
    segments_figure(model, people, [take / "target.npz"], tmp_path / "segments.png", size=24)
    for name in ("sheet", "segments"):
        assert np.asarray(Image.open(tmp_path / f"{name}.png").convert("L")).std() > 5


def test_a_design_without_skinning_has_no_segments(take, people, demo_model, tmp_path):
    model = tmp_path / "nfr.safetensors"
    save_model(model, made(replace(SMALL, design="nfr")), demo_model.units, {})
    with pytest.raises(ConfigError, match="design nfr has no skinning features"):
        segments_figure(model, people, [], tmp_path / "out.png")


def test_colours_tell_segments_and_motion_apart():
    assert len(np.unique(segment_colours(), axis=0)) == 20
    still, full, beyond = moved_colours(np.array([[0.0, 0, 0], [0.08, 0, 0], [1.0, 0, 0]]))
    assert (full == beyond).all() and not (still == full).all()


def test_a_real_scan_with_landmarks_is_a_target(open_data, people, demo_model, tmp_path):
    import json

    from facemill.mesh.frames import ICT_TO_NFS, Similarity
    from facemill.nfs.retarget import Clone, moved
    from facemill.nfs.rig import codes_of
    from facemill.nfs.user_mesh import read_user_mesh

    folder = open_data / "leeperrysmith"
    known = json.loads((folder / "to_ict_frame.json").read_text())
    pose = Similarity(known["scale"], np.array(known["R"]), np.array(known["t"]))
    away = ICT_TO_NFS.after(pose).inverse()
    marks = away.apply(demo_model.neutral[demo_model.landmarks])
    (tmp_path / "marks.txt").write_text("\n".join(" ".join(map(str, mark)) for mark in marks))
    scan, out = folder / "LeePerrySmith.obj", tmp_path / "scan.npz"
    operators_build(scan, people / "people.npz", OPERATORS, out, tmp_path / "marks.txt")
    target = read_user_mesh(scan, out)
    assert 1000 < len(target.operators.vertices) < 0.6 * len(target.mesh.vertices)
    clone = Clone(made(replace(SMALL, anchored=True)), target.operators)
    still, full = moved(clone, target, codes_of(clone.model, np.eye(2, 19) * [[0], [1]]), 2)
    np.testing.assert_allclose(still, target.mesh.vertices, atol=1e-5)
    assert np.isfinite(full).all() and np.abs(full - still).max() > 1e-4
    again, group = np.unique(target.mesh.vertices, axis=0, return_inverse=True)
    first = np.zeros((len(again), 3))
    first[group.reshape(-1)] = full
    np.testing.assert_allclose(full, first[group.reshape(-1)], atol=1e-5)  # no seam is torn
