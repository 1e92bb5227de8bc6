"""PLY meshes of a fitted person, and normals that are the field's gradient."""

import numpy as np
import pytest
import torch
import trimesh

from facemill.errors import ConfigError
from facemill.files import write_npz
from facemill.imface.config import ExtractionConfig
from facemill.imface.export import export_person
from facemill.imface.interpolate import ScanCodes
from facemill.imface.model import load_model
from facemill.imface.reconstruct import gradient_normals, reconstruct, sdf_field
from facemill.mesh.normals import face_normals_and_areas


@pytest.fixture(scope="module")
def model(tiny_imface):
    return load_model(tiny_imface.model)[0].requires_grad_(False)


@pytest.fixture(scope="module")
def codes(model):
    identity, expression = model.codes(torch.tensor([0]), torch.tensor([1]))
    return ScanCodes(identity[0], expression[0])


def test_normals_are_the_gradient_of_the_distance(model, codes):
    mesh = reconstruct(model, codes.identity, codes.expression, ExtractionConfig(resolution=32))
    condition = model.condition(codes.identity[None], codes.expression[None])
    normals = gradient_normals(model, condition, mesh.vertices, batch_points=100)
    field, step = sdf_field(model, condition, 5000), 2e-3
    unit = mesh.vertices / 100.0
    sides = [field(unit + step * axis) - field(unit - step * axis) for axis in np.eye(3)]
    numeric = np.stack(sides, axis=-1) / np.linalg.norm(sides, axis=0)[:, None]
    assert np.quantile((numeric * normals).sum(1), 0.01) > 0.999
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-5)
    ahead = (face_normals_and_areas(mesh)[0] * normals[mesh.faces[:, 0]]).sum(1)
    assert np.mean(ahead > 0) > 0.99


def test_a_person_is_written_with_normals_and_colours(tiny_imface, codes, tmp_path):
    fit = tmp_path / "p.npz"
    write_npz(
        fit,
        {
            f"{name}/{kind}_code": getattr(codes, kind).detach().numpy()
            for name in ("1_neutral", "2_smile")
            for kind in ("identity", "expression")
        },
    )
    export_person(tiny_imface.model, fit, {"resolution": 24}, tmp_path / "meshes")
    assert {path.name for path in (tmp_path / "meshes").iterdir()} == {
        "1_neutral.ply",
        "2_smile.ply",
    }
    read = trimesh.load_mesh(tmp_path / "meshes/2_smile.ply", process=False)
    assert read.vertices[:, 1].max() > 60  # millimetres
    assert read.visual.kind == "vertex"
    raw = read.metadata["_ply_raw"]["vertex"]["data"]
    normals = np.stack([raw[key] for key in ("nx", "ny", "nz")], axis=-1)
    assert np.mean((normals * read.vertex_normals).sum(1) > 0.9) > 0.8
    with pytest.raises(ConfigError, match=r"imface\.export\.resolution: found 4"):
        export_person(tiny_imface.model, fit, {"resolution": 4}, tmp_path / "other")
