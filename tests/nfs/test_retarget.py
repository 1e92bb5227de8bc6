"""Cloning: one code for all targets, fast against plain, other triangulations, bad sources."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_nfs import SMALL, made
from small_nfs_uses import face_of, with_operators, written

from facemill.errors import ConfigError
from facemill.mesh.surface import Mesh
from facemill.nfs.retarget import (
    Clone,
    RetargetConfig,
    factors,
    retarget,
    smoothed,
    source_frames,
)

PLAIN = RetargetConfig(chunk=2)


@pytest.fixture(scope="module")
def face(demo_model) -> Mesh:
    return face_of(demo_model)


@pytest.fixture(scope="module")
def source(face):
    return with_operators(face)


@pytest.fixture(scope="module")
def model():
    return made(replace(SMALL, anchored=True))


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        replace(SMALL, anchored=True),
        replace(SMALL, norm="group", groups=4),
        replace(SMALL, decoder="jacobian", anchored=True),
        replace(SMALL, design="nfr"),
    ],
)
def test_chunks_with_the_target_s_part_computed_once_equal_frame_by_frame(source, config):
    model = made(config)
    clone = Clone(model, source.operators)
    codes = torch.randn(5, config.code, generator=torch.Generator().manual_seed(0))
    found = np.concatenate(list(clone.frames(codes, 2)))
    with torch.no_grad():
        plain = torch.cat([model.decode(clone.target, code[None]) for code in codes])
    np.testing.assert_allclose(found, plain.numpy(), atol=2e-5)
    assert np.abs(found - source.operators.vertices).max() > 1e-3, "something moved"


def test_a_sequence_is_read_in_chunks_of_any_size(source, demo_model, model, tmp_path):
    frames = written(tmp_path, {f"f{n}": face_of(demo_model, unit=n) for n in range(3)})
    clone = Clone(model, source.operators)
    whole = clone.codes(source_frames(source, frames), 8)
    by_ones = clone.codes(source_frames(source, frames), 1)
    assert whole.shape == (3, SMALL.code) and whole.std() > 0
    torch.testing.assert_close(whole, by_ones, atol=1e-5, rtol=1e-4)


def test_a_neutral_source_leaves_the_target_as_its_file_is(source, demo_model, model, tmp_path):
    (neutral,) = written(tmp_path, {"rest": source.mesh})
    target = with_operators(face_of(demo_model, identity=(-1.0, 1.0, 0.0)))
    _, found = retarget(model, (), source, [neutral], target, PLAIN, {})
    np.testing.assert_allclose(found[0], target.mesh.vertices, atol=1e-3)


def test_smoothing_keeps_a_constant_to_its_ends_and_spreads_a_pulse():
    still = torch.ones(6, 3)
    torch.testing.assert_close(smoothed(still, 1.0, 2), still)
    pulse = torch.zeros(9, 1)
    pulse[4] = 1.0
    found = smoothed(pulse, 1.0, 2)[:, 0]
    weights = torch.exp(-0.5 * torch.arange(-2.0, 3.0) ** 2)
    torch.testing.assert_close(found[2:7], weights / weights.sum())
    assert found[:2].abs().max() == 0
    torch.testing.assert_close(smoothed(pulse, 0.0, 2), pulse)


def test_the_ends_are_mirrored():
    ramp = torch.arange(5.0)[:, None]
    found = smoothed(ramp, 1.0, 1)[0, 0]
    side = np.exp(-0.5) / (1 + 2 * np.exp(-0.5))
    assert float(found) == pytest.approx(2 * side), "frames 1, 0, 1 are seen, not 0, 0, 1"


def test_gains_name_units():
    np.testing.assert_array_equal(factors({"jawOpen": 2.0}, ("jawLeft", "jawOpen")), [1.0, 2.0])
    with pytest.raises(
        ConfigError, match=r"retarget.gains.jawOpne: no unit .* did you mean jawOpen"
    ):
        factors({"jawOpne": 2.0}, ("jawLeft", "jawOpen"))


def test_gains_change_the_target_and_not_the_weights(source, demo_model, model, tmp_path):
    frames = written(tmp_path, {"f": face_of(demo_model, unit=0)})
    units = demo_model.units
    plain, still = retarget(model, units, source, frames, source, PLAIN, {})
    codes, more = retarget(model, units, source, frames, source, PLAIN, {units[0]: 5.0})
    torch.testing.assert_close(plain, codes)
    assert np.abs(more - still).max() > 1e-4


@pytest.mark.parametrize("settings", [{"chunk": 0}, {"smooth": -1.0}, {"smooth_radius": 0}])
def test_settings_out_of_range_are_named(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        RetargetConfig(**settings)
