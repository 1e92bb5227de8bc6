"""Meshes of the density: a ball in closed form, its rim and parts, the small model's face."""

import json

import numpy as np
import pytest
import torch
from made_up_people import MODEL

from facemill.data.packs import FacePack
from facemill.errors import ConfigError, GeometryError
from facemill.mesh.closing import parts
from facemill.mesh.frames import FACE_TO_MOFANERF, HEAD_CENTRE
from facemill.mesh.io import read_mesh
from facemill.mesh.surface import Mesh
from facemill.mofanerf.config import ModelConfig
from facemill.mofanerf.export import (
    MeshConfig,
    density_mesh,
    distances,
    export_mesh,
    largest_part,
    seen_part,
    shell_field,
    without_rim,
)
from facemill.mofanerf.faces import FaceCodes, Faces
from facemill.mofanerf.model import MoFaNeRF
from facemill.mofanerf.rays import UNIT

RADIUS = 90.0


def icosphere(radius: float) -> Mesh:
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=4, radius=radius)
    return Mesh(np.asarray(ball.vertices) + HEAD_CENTRE, np.asarray(ball.faces))


class BallFaces(Faces):
    """A dense shell in place of a learned field: empty inside, where nothing is learned."""

    def __init__(self, predicted: Mesh) -> None:
        self.device = torch.device("cpu")
        self.model, self.predicted = MoFaNeRF(ModelConfig(**MODEL), 1), predicted
        self.model.fine.forward = self.field

    def field(self, points, directions, codes):
        away = points.norm(dim=-1) - RADIUS / UNIT
        density = 200.0 * ((away < 0) & (away > -8.0 / UNIT)).float()
        return density, torch.sigmoid(2 * points)

    def ready(self, codes):
        return self.model.condition(torch.zeros(1, 50), torch.zeros(1, 30), torch.zeros(1, 256))

    def surface_of(self, codes):
        return self.predicted


CODES = FaceCodes(*[np.zeros(n, np.float32) for n in (50, 30, 256, 1)])
CONFIG = MeshConfig(resolution=96, seen=False)


def test_a_ball_s_level_set_is_the_ball_without_its_inside():
    made = density_mesh(BallFaces(icosphere(RADIUS - 3)), CODES, CONFIG)
    radii = np.linalg.norm(made.mesh.vertices - HEAD_CENTRE, axis=1)
    spacing = 2 * 170.0 / 95
    assert np.abs(radii - RADIUS).max() < spacing
    found = distances(made.mesh, icosphere(RADIUS), 2000, np.random.default_rng(0))
    assert found["median_mm"] < spacing / 2 and found["share_beyond_5_mm"] == 0
    # Triangles face outwards: the volume is positive.
    a, b, c = (made.mesh.vertices[made.mesh.faces[:, k]] - HEAD_CENTRE for k in range(3))
    volume = (np.cross(a, b) * c).sum() / 6
    assert volume == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.08)
    seen = 255 * torch.sigmoid(2 * torch.from_numpy(made.mesh.vertices - HEAD_CENTRE) / UNIT)
    assert np.abs(made.colours - seen.numpy()).max() <= 1.0


def test_an_open_surface_has_no_mesh_beyond_its_edge():
    whole = icosphere(RADIUS)
    front = whole.faces[(whole.vertices[whole.faces][..., 2] > HEAD_CENTRE[2]).all(axis=1)]
    made = density_mesh(BallFaces(Mesh(whole.vertices, front)), CODES, CONFIG)
    assert made.mesh.vertices[:, 2].min() > HEAD_CENTRE[2] - 8
    radii = np.linalg.norm(made.mesh.vertices - HEAD_CENTRE, axis=1)
    assert np.abs(radii - RADIUS).max() < 2 * 170.0 / 95


def test_far_outside_a_patch_turned_inside_out_nothing_is_solid():
    """There the sign says inside, but no head lies round such points."""
    ball = icosphere(RADIUS)
    turned = (ball.vertices[ball.faces].mean(axis=1) - HEAD_CENTRE)[:, 0] > 0.97 * RADIUS
    assert turned.sum() > 20
    predicted = Mesh(ball.vertices, np.where(turned[:, None], ball.faces[:, ::-1], ball.faces))
    field = shell_field(BallFaces(predicted), CODES, predicted, CONFIG)
    points = HEAD_CENTRE + (RADIUS + np.array([[40.0], [60.0], [75.0]])) * [1.0, 0.0, 0.0]
    assert (field(FACE_TO_MOFANERF.apply(points)) > 0).all()


def test_what_no_camera_sees_is_left_out():
    """Of a ball, what faces none of the cameras from ear to ear: a cap at the back."""
    ball = icosphere(RADIUS)
    kept = seen_part(ball).vertices
    back = (ball.vertices[:, 2] - HEAD_CENTRE[2]) / RADIUS < -0.98
    assert (
        back.any()
        and (ball.vertices[:, 2] > HEAD_CENTRE[2]).sum() == (kept[:, 2] > HEAD_CENTRE[2]).sum()
    )
    assert (kept[:, 2] - HEAD_CENTRE[2]).min() / RADIUS > -0.98


def test_a_closed_surface_has_no_rim():
    ball = icosphere(RADIUS)
    assert without_rim(ball, ball) is ball


def test_the_largest_part_stays():
    ball, small = icosphere(RADIUS), icosphere(5.0)
    both = Mesh(
        np.concatenate([small.vertices, ball.vertices + 300.0]),
        np.concatenate([small.faces, ball.faces + len(small.vertices)]),
    )
    np.testing.assert_allclose(largest_part(both).vertices, ball.vertices + 300.0)


def test_nothing_left_is_told():
    ball = icosphere(RADIUS)
    with pytest.raises(GeometryError, match="no level set near the predicted surface"):
        largest_part(Mesh(ball.vertices, ball.faces[:0]))


def test_the_small_model_s_mesh_is_the_person_s(trained, rendered, faces, tmp_path):
    person, expression = faces.train_people[0], faces.expressions[0]
    files = (tmp_path / "face.ply", tmp_path / "face.obj", tmp_path / "face.json")
    settings = {"resolution": 128, "samples": 4000}
    pack = rendered.data.faces(person)
    told = export_mesh(trained, rendered.codes, pack, person, expression, settings, *files)
    # Seconds of training on 32 x 32 pixels of 6 mm: what a demo-sized model reaches is in the docs.
    assert told["median_mm"] < 8.0
    assert len(np.unique(parts(read_mesh(files[0]).faces, told["vertices"]))) == 1
    assert json.loads(files[2].read_text()) == told
    ply, obj = (read_mesh(path) for path in files[:2])
    np.testing.assert_allclose(ply.vertices, obj.vertices, atol=1e-3)
    np.testing.assert_array_equal(ply.faces, obj.faces)
    again = distances(ply, FacePack(pack).registered(expression), 4000, np.random.default_rng(1))
    assert again["median_mm"] == pytest.approx(told["median_mm"], rel=0.2)
    colours = np.loadtxt(files[1].read_text().splitlines()[:100], usecols=(4, 5, 6))
    assert ((colours >= 0) & (colours <= 1)).all() and colours.std() > 0


def test_a_mesh_setting_that_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="level: found 0"):
        MeshConfig(level=0.0)
