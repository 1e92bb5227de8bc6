"""Raw scans on registered meshes: found again after any similarity, measured, clipped."""

import numpy as np
import pytest
from rendered_heads import demo_mesh
from scipy.spatial.transform import Rotation

from facemill.data.demo import topology
from facemill.errors import GeometryError
from facemill.mesh.alignment import umeyama
from facemill.mesh.frames import HEAD_CENTRE, Similarity
from facemill.mesh.scan_alignment import (
    agreement,
    align_to_face,
    clip_radius,
    clip_to_ball,
    face_region,
    require_agreement,
)
from facemill.mesh.surface import Mesh


@pytest.fixture(scope="module")
def head() -> Mesh:
    return demo_mesh("d003")


@pytest.fixture(scope="module")
def face(head) -> Mesh:
    return face_region(head)


def spoilt(head: Mesh, rng: np.random.Generator, hole: bool) -> tuple[Mesh, Similarity]:
    """A scan of the head: 0.3 mm of noise, a fifth of the vertices missing, some other frame."""
    axis = rng.normal(size=3)
    turn = np.radians(rng.uniform(0, 60)) * axis / np.linalg.norm(axis)
    scale = float(np.exp(rng.uniform(np.log(0.2), np.log(5))))
    true = Similarity(scale, Rotation.from_rotvec(turn).as_matrix(), rng.normal(size=3) * 200)
    noisy = head.vertices + 0.3 * rng.normal(size=head.vertices.shape)
    away = rng.random(len(noisy))
    if hole:  # in one piece, beside the nose
        away = np.linalg.norm(noisy - [50, -20, 0], axis=1)
    kept = away > np.quantile(away, 0.2)
    faces = head.faces[kept[head.faces].all(axis=1)]
    return Mesh(true.inverse().apply(noisy), faces), true


@pytest.mark.parametrize(("seed", "hole"), [(0, False), (1, False), (2, False), (3, True)])
def test_any_similarity_is_undone(head, face, seed, hole):
    """Acceptance: residual under 0.5 mm, scale within 0.2 %, without a dictionary."""
    rng = np.random.default_rng(seed)
    scan, true = spoilt(head, rng, hole)
    marks = head.vertices[topology().landmarks]
    picked = true.inverse().apply(marks + rng.normal(size=marks.shape))
    found = align_to_face(scan, face, umeyama(picked, marks))
    assert abs(found.scale / true.scale - 1) < 0.002
    back = found.apply(true.inverse().apply(head.vertices))
    assert np.linalg.norm(back - head.vertices, axis=1).max() < 0.5
    measured = agreement(scan, face, found)
    assert measured.residual < 0.5
    assert measured.coverage > 0.6
    require_agreement(measured, 2.0, "scan", "")


def test_a_scan_that_lies_wrong_is_measured_so(head, face):
    shifted = agreement(head, face, Similarity(translation=np.array([0.0, 0.0, 6.0])))
    assert 2.0 < shifted.residual < 6.5
    with pytest.raises(GeometryError, match=r"scan\.obj: the median distance .* at most 2 mm\. Do"):
        require_agreement(shifted, 2.0, "scan.obj", "Do so.")
    half = Mesh(head.vertices, head.faces[(head.vertices[head.faces][..., 0] > 30).all(axis=1)])
    with pytest.raises(GeometryError, match=r"covers \d+ % of the registered face"):
        require_agreement(agreement(half, face, Similarity()), 2.0, "half.obj", "")


def test_a_transform_that_leads_elsewhere_is_refused(head, face):
    far = Similarity(translation=np.array([500.0, 0, 0]))
    with pytest.raises(GeometryError, match="nothing of the scan lies where the face is"):
        agreement(head, face, far)


def test_the_clip_takes_off_what_lies_beyond_the_registered_head(head):
    radius = clip_radius(head)
    away = np.linalg.norm(head.vertices - HEAD_CENTRE, axis=1)
    assert radius == pytest.approx(1.02 * away.max())
    shoulders = head.vertices[:3] * 0.01 + [0.0, -300.0, -60.0]
    count = len(head.vertices)
    scan = Mesh(
        np.concatenate([head.vertices, shoulders]),
        np.concatenate([head.faces, [[count, count + 1, count + 2], [0, 1, count]]]),
        np.concatenate([head.uv, [[0.5, 0.5]] * 3]),
        np.concatenate([head.faces_uv, len(head.uv) + np.array([[0, 1, 2], [0, 1, 2]])]),
    )
    clipped = clip_to_ball(scan, HEAD_CENTRE, radius)
    assert len(clipped.faces) == len(head.faces)
    np.testing.assert_array_equal(
        clipped.vertices[clipped.faces], head.vertices[head.faces], strict=True
    )
    np.testing.assert_array_equal(clipped.uv[clipped.faces_uv], head.uv[head.faces_uv])
    with pytest.raises(GeometryError, match="no triangle within 10 mm"):
        clip_to_ball(scan, np.array([0.0, 900, 0]), 10.0)
