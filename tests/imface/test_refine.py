"""Detail codes at test time, and what they are used for."""

import numpy as np
import pytest
import torch
from small_imface import small_batch, small_model

from facemill.data.packs import SamplePack
from facemill.files import reading_npz
from facemill.imface.config import ExtractionConfig, FitConfig, FitWeights
from facemill.imface.fit import fit_person
from facemill.imface.interpolate import mesh_of, read_codes
from facemill.imface.model import load_model
from facemill.imface.reconstruct import condition_of, gradient_normals, sdf_field
from facemill.imface.refine import fit_details
from facemill.imface.train import train

FREE = FitWeights(detail_code=0.0)


def test_detail_codes_bring_the_refined_field_to_its_targets():
    model, batch = small_model(detail_dim=4, dtype=torch.float32), small_batch(torch.float32)
    model.requires_grad_(False)
    identity, expression = model.codes(batch.identity, batch.expression)
    with torch.no_grad():  # points on the coarse surface, targets of detail codes to be found
        condition = model.condition(identity, expression, 2 * torch.ones(3, 4))
        points = batch.points
        for _ in range(20):
            output, gradient, _ = model.field_and_gradients(points, condition)
            step = output.sdf[..., None] * gradient / gradient.square().sum(-1, keepdim=True)
            points = points - step.clamp(-0.05, 0.05)
        target = model.refined_sdf(points, condition)
    rows = torch.cat([points, batch.normals, target[..., None]], -1)
    weights = FitWeights(refined_normal=0.0, refined_eikonal=0.0, detail_code=0.0)

    def residual(steps):
        config = FitConfig(steps=steps, points=20, learning_rate=0.1, weights=weights)
        codes, totals = fit_details(
            model, identity, expression, lambda scans, _: rows[scans], config
        )
        assert codes.shape == (3, 4) and set(totals) == {
            "refined_sdf", "refined_normal", "refined_eikonal", "detail_code"
        }  # fmt: skip
        return totals["refined_sdf"]

    assert residual(80) < 0.5 * residual(1)


def test_detail_under_way_is_taken_up_where_it_was(tmp_path, killed_after):
    model, batch = small_model(detail_dim=4, dtype=torch.float32), small_batch(torch.float32)
    model.requires_grad_(False)
    codes = model.codes(batch.identity, batch.expression)
    rows = torch.cat([batch.points, batch.normals, batch.points[..., 2:]], -1)
    config = FitConfig(steps=5, points=20, learning_rate=0.1, weights=FREE)
    draw = lambda scans, step: rows[scans] * (1 + 0.01 * step)  # noqa: E731
    whole = fit_details(model, *codes, draw, config)
    made = killed_after(3)
    with pytest.raises(KeyboardInterrupt):
        fit_details(model, *codes, draw, config, tmp_path, {"seed": 1})
    for _ in range(2):  # the second time everything is there
        found, terms = fit_details(model, *codes, draw, config, tmp_path, {"seed": 1})
        assert len(made) == 5 and torch.equal(found, whole[0]) and terms == whole[1]


def test_a_refined_model_is_fitted_with_detail_and_extracted_with_it(tiny_imface, tmp_path):
    data = tiny_imface.data
    config, _ = load_model(tiny_imface.model)
    sizes = {name: value for name, value in vars(config.config).items() if name != "anchors"}
    settings = {
        "model": sizes | {"detail_dim": 4},
        "train": {"steps": 100, "batch_scans": 4, "points": 128, "learning_rate": 2e-3,
                  "weights": {"identity_code": 1e3, "expression_code": 1e3}},
    }  # fmt: skip
    model_path = tmp_path / "model.safetensors"
    train(
        data.index,
        data.samples(),
        settings,
        tmp_path / "w",
        model_path,
        tmp_path / "h.csv",
        tmp_path / "r.json",
    )
    pack = SamplePack(data.samples(data.test[0]))
    fit = {"fit": {"steps": 3, "points": 128}, "extraction": {"resolution": 24, "visible": False}}
    fit_person(model_path, pack.path, fit, tmp_path / "work", tmp_path / "fit.npz", threads=1)
    codes = read_codes(tmp_path / "fit.npz")
    scan = next(iter(codes.values()))
    assert scan.detail is not None and scan.detail.shape == (4,)
    with reading_npz(tmp_path / "fit.npz", "") as arrays:
        assert "refined_sdf" in arrays["loss_names"]

    model, _ = load_model(model_path)
    model.requires_grad_(False)
    mesh = mesh_of(model, scan, ExtractionConfig(resolution=24, visible=False))
    condition = condition_of(model, scan.identity, scan.expression, scan.detail)
    field = sdf_field(model, condition, 4096)
    unit = mesh.vertices / 100
    assert np.quantile(np.abs(field(unit)), 0.95) < 0.01  # the refined zero, to the grid
    normals = gradient_normals(model, condition, mesh.vertices)
    step = 1e-3
    sides = [field(unit + step * axis) - field(unit - step * axis) for axis in np.eye(3)]
    numeric = np.stack(sides, axis=-1) / np.linalg.norm(sides, axis=0)[:, None]
    assert np.median((numeric * normals).sum(1)) > 0.99
