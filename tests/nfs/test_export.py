"""What leaves NFS is the target's own file moved: OBJ, GLB, preview."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from small_nfs import SMALL, made
from small_nfs_uses import face_of, with_operators

from facemill.mesh.glb import read_glb_morphs
from facemill.mesh.io import read_mesh
from facemill.mesh.surface import Mesh
from facemill.nfs.export import (
    portrait,
    write_frames_glb,
    write_preview,
    write_rig_glb,
    write_sequence,
)
from facemill.nfs.retarget import Clone
from facemill.nfs.rig import unit_offsets


@pytest.fixture(scope="module")
def target(demo_model):
    return with_operators(face_of(demo_model))


def test_a_sequence_keeps_faces_texture_and_names(tmp_path):
    uv = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    mesh = Mesh(np.eye(3), np.array([[0, 1, 2]]), uv, np.array([[2, 1, 0]]))
    frames = np.stack([mesh.vertices + n for n in range(2)])
    write_sequence(tmp_path / "out", mesh, frames, ["rest", "smile"])
    found = read_mesh(tmp_path / "out" / "smile.obj")
    np.testing.assert_allclose(found.vertices, frames[1])
    np.testing.assert_array_equal(found.faces, mesh.faces)
    np.testing.assert_array_equal(found.uv[found.faces_uv], mesh.uv[mesh.faces_uv])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["rest.obj", "smile.obj"]


def test_an_animated_sequence_shows_each_frame_alone(target, tmp_path):
    frames = np.stack([target.mesh.vertices + n for n in range(3)]).astype(np.float32)
    write_frames_glb(tmp_path / "a.glb", target.mesh, frames, ["a", "b", "c"], fps=24.0)
    found = read_glb_morphs(tmp_path / "a.glb")
    shown = found.vertices + np.tensordot(found.weights[2], list(found.targets.values()), axes=1)
    np.testing.assert_allclose(shown, frames[2], atol=1e-3)
    assert found.times[-1] == pytest.approx(2 / 24)


def test_a_rig_s_targets_are_its_units_in_the_file_s_own_frame(target, tmp_path):
    clone = Clone(made(replace(SMALL, anchored=True)), target.operators)
    offsets = unit_offsets(clone, 2)
    weights = np.array([[0.0, 0.0], [1.0, 0.5]])
    write_rig_glb(tmp_path / "rig.glb", target, ["smile", "jaw"], offsets, weights)
    found = read_glb_morphs(tmp_path / "rig.glb")
    assert list(found.targets) == ["smile", "jaw"]
    np.testing.assert_allclose(found.vertices, target.mesh.vertices, atol=1e-4)
    kept = target.back >= 0
    own = 100.0 * offsets[1][target.back[kept]]
    np.testing.assert_allclose(found.targets["jaw"][kept], own, atol=1e-3)
    assert np.abs(found.targets["jaw"][~kept]).max() == 0
    np.testing.assert_array_equal(found.weights, weights)


def test_a_preview_moves_before_a_standing_camera(target, demo_model, tmp_path):
    frames = np.stack([target.mesh.vertices, face_of(demo_model, unit=1).vertices])
    placed = target.operators.placed
    write_preview(tmp_path / "p.gif", target.mesh, placed, frames.astype(np.float32), 10.0, 60)
    with Image.open(tmp_path / "p.gif") as found:
        assert found.n_frames == 2 and found.size == (60, 72)


def test_a_portrait_shows_the_face_wherever_its_file_has_it(target):
    placed, mesh = target.operators.placed, target.mesh
    plain = portrait(mesh, placed, mesh.vertices, 48)
    assert plain.shape == (58, 48, 3) and plain.std() > 20
    from facemill.mesh.frames import Similarity

    pose = Similarity(2.0, np.eye(3), np.array([5.0, 6.0, 7.0]))
    moved = portrait(mesh, placed.after(pose.inverse()), pose.apply(mesh.vertices), 48)
    assert np.abs(moved.astype(int) - plain).mean() < 0.5
