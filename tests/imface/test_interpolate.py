"""Walks between codes, transfer, and the pictures of them."""

import numpy as np
import pytest
import torch

from facemill.errors import DataError
from facemill.files import write_npz
from facemill.imface.config import ExtractionConfig
from facemill.imface.interpolate import (
    ScanCodes,
    between,
    expression_walk,
    identity_walk,
    read_codes,
    transfer_matrix,
)
from facemill.imface.model import load_model
from facemill.imface.reconstruct import reconstruct, sdf_field

COARSE = ExtractionConfig(resolution=24)


@pytest.fixture(scope="module")
def model(tiny_imface):
    return load_model(tiny_imface.model)[0].requires_grad_(False)


def trained(model, person, expression):
    identity, code = model.codes(torch.tensor([person]), torch.tensor([expression]))
    return ScanCodes(identity[0], code[0])


def test_walks_begin_and_end_at_the_scans_themselves(model):
    a, b = trained(model, 0, 0), trained(model, 1, 1)
    walk = identity_walk(model, a, ScanCodes(b.identity, a.expression), 3, COARSE)
    end = reconstruct(model, b.identity, a.expression, COARSE)
    np.testing.assert_array_equal(walk[-1].vertices, end.vertices)
    start = reconstruct(model, a.identity, a.expression, COARSE)
    np.testing.assert_array_equal(walk[0].vertices, start.vertices)
    walk = expression_walk(model, a, b, 2, COARSE)
    end = reconstruct(model, a.identity, b.expression, COARSE)
    np.testing.assert_array_equal(walk[-1].vertices, end.vertices)


def test_interpolation_is_linear_and_goes_on_beyond_its_ends():
    a, b = torch.zeros(3), torch.ones(3)
    for share in (0.0, 0.25, 1.0, 1.5):
        torch.testing.assert_close(between(a, b, share), torch.full((3,), share))


def test_transfer_takes_identity_from_rows_and_expression_from_columns(model):
    scans = [trained(model, 0, 0), trained(model, 1, 2)]
    matrix = transfer_matrix(model, scans, scans, COARSE)
    own = reconstruct(model, scans[1].identity, scans[1].expression, COARSE)
    np.testing.assert_array_equal(matrix[1][1].vertices, own.vertices)
    mixed = reconstruct(model, scans[0].identity, scans[1].expression, COARSE)
    np.testing.assert_array_equal(matrix[0][1].vertices, mixed.vertices)


def test_mesh_lies_on_the_zero_level_in_millimetres(model):
    codes = trained(model, 0, 0)
    mesh = reconstruct(model, codes.identity, codes.expression, ExtractionConfig(resolution=48))
    condition = model.condition(codes.identity[None], codes.expression[None])
    values = 100 * sdf_field(model, condition, 1000)(mesh.vertices / 100)
    assert np.abs(values).mean() < 0.1
    assert np.linalg.norm(mesh.vertices, axis=1).max() <= 100.0 + 1e-6


def test_batches_do_not_change_the_field(model):
    codes = trained(model, 0, 0)
    condition = model.condition(codes.identity[None], codes.expression[None])
    points = np.random.default_rng(0).uniform(-0.6, 0.6, (257, 3))
    small, large = (sdf_field(model, condition, size)(points) for size in (50, 1000))
    np.testing.assert_allclose(small, large, atol=1e-6)


def test_codes_are_read_from_a_fit_and_foreign_files_refused(tmp_path):
    codes = {"2_smile/identity_code": np.ones(4, np.float32)}
    write_npz(tmp_path / "fit.npz", codes | {"2_smile/expression_code": np.zeros(3, np.float32)})
    read = read_codes(tmp_path / "fit.npz")
    assert read["2_smile"].identity.shape == (4,) and read["2_smile"].expression.shape == (3,)
    write_npz(tmp_path / "pca.npz", {"2_smile/coefficients": np.ones(4)})
    with pytest.raises(DataError, match=r"pca\.npz: holds no codes"):
        read_codes(tmp_path / "pca.npz")
