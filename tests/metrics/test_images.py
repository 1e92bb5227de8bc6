"""Image metrics: closed forms, slow twins written from the definitions, and bad pictures."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from facemill.errors import DataError
from facemill.metrics.images import (
    SCALE_WEIGHTS,
    gradient_similarity,
    gradient_similarity_deviation,
    image_metrics,
    ms_ssim,
    ms_ssim_name,
    psnr,
    scales_that_fit,
    ssim,
    unit_of,
)
from facemill.metrics.tables import larger_is_better


def pictures(height=40, width=34, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([np.sin(x / 5), np.cos(y / 7), np.sin((x + y) / 9)], axis=2)
    truth = 0.5 + 0.3 * smooth + 0.05 * rng.standard_normal((height, width, 3))
    image = truth + noise * rng.standard_normal(truth.shape)
    return np.clip(image, 0, 1), np.clip(truth, 0, 1)


def test_psnr_of_a_constant_error():
    truth = np.full((8, 9, 3), 0.5)
    assert psnr(truth + 0.1, truth) == pytest.approx(20.0, abs=1e-9)
    assert psnr(truth + 0.01, truth) == pytest.approx(40.0, abs=1e-7)
    assert psnr(truth, truth) == np.inf
    assert psnr(truth.astype(np.float32), truth.astype(np.float32)) == np.inf


def test_psnr_in_a_mask_is_that_of_the_masked_pixels_and_a_background_flatters():
    truth = np.zeros((20, 20, 3))
    image = truth.copy()
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    image[mask] = 0.1
    assert psnr(image, truth, mask) == pytest.approx(20.0)
    assert psnr(image, truth) == pytest.approx(20.0 + 10 * np.log10(4))


def slow_ssim(image, truth, mask=None):
    """Window by window, channel by channel, with weighted sums written out."""
    offset = np.arange(-5, 6)
    bell = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2))
    bell /= bell.sum()
    found = []
    for row in range(5, truth.shape[0] - 5):
        for column in range(5, truth.shape[1] - 5):
            if mask is not None and not mask[row, column]:
                continue
            for channel in range(3):
                part = np.s_[row - 5 : row + 6, column - 5 : column + 6, channel]
                x, y = image[part], truth[part]
                mx, my = (bell * x).sum(), (bell * y).sum()
                vx, vy = (bell * (x - mx) ** 2).sum(), (bell * (y - my) ** 2).sum()
                cov = (bell * (x - mx) * (y - my)).sum()
                light = (2 * mx * my + 1e-4) / (mx**2 + my**2 + 1e-4)
                found.append(light * (2 * cov + 9e-4) / (vx + vy + 9e-4))
    return np.mean(found)


def test_ssim_agrees_with_its_definition_window_by_window():
    image, truth = pictures()
    assert ssim(image, truth) == pytest.approx(slow_ssim(image, truth), abs=1e-10)
    mask = np.hypot(*(np.mgrid[:40, :34] - np.array([20, 17])[:, None, None])) < 11
    assert ssim(image, truth, mask) == pytest.approx(slow_ssim(image, truth, mask), abs=1e-10)
    assert ssim(truth, truth) == pytest.approx(1.0, abs=1e-12)
    assert ssim(image, truth) == pytest.approx(ssim(truth, image), abs=1e-12)


def test_ssim_of_two_constants_is_the_luminance_term():
    a, b = np.full((16, 16, 3), 0.3), np.full((16, 16, 3), 0.6)
    assert ssim(a, b) == pytest.approx((2 * 0.18 + 1e-4) / (0.09 + 0.36 + 1e-4), abs=1e-9)


def test_ssim_agrees_with_scikit_image():
    metrics = pytest.importorskip("skimage.metrics")
    image, truth = pictures(64, 50)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    theirs = metrics.structural_similarity(image, truth, data_range=1.0, channel_axis=2, **settings)
    assert ssim(image, truth) == pytest.approx(theirs, abs=1e-9)


def test_ms_ssim_is_ssim_with_one_scale_and_a_product_of_scales_otherwise():
    image, truth = pictures(50, 44)
    per_channel = [
        slow_ssim(np.repeat(image[..., [c]], 3, axis=2), np.repeat(truth[..., [c]], 3, axis=2))
        for c in range(3)
    ]
    assert ms_ssim(image, truth, 1) == pytest.approx(np.mean(per_channel), abs=1e-9)
    # Two constant pictures: every contrast term is 1, the last luminance term stays.
    a, b = np.full((180, 200, 3), 0.3), np.full((180, 200, 3), 0.6)
    light = (2 * 0.18 + 1e-4) / (0.09 + 0.36 + 1e-4)
    assert ms_ssim(a, b) == pytest.approx(light ** (0.1333 / sum(SCALE_WEIGHTS)), abs=1e-9)


def test_ms_ssim_of_a_doubled_contrast():
    """y = 2 x about its mean: the contrast-structure term is 2 * 2 / (1 + 4) at every scale."""
    y, x = np.mgrid[:192, :192]
    wave = 0.2 * np.sin(2 * np.pi * x / 192)[..., None] * np.ones(3)
    checks = 0.02 * np.sign(np.sin(y) + 1e-9)[..., None] * np.ones(3)
    one, two = 0.5 + wave + checks, 0.5 + 2 * (wave + checks)
    assert 0.8 <= ms_ssim(one, two) < 1.0
    assert ms_ssim(one, one) == pytest.approx(1.0, abs=1e-12)


def test_ms_ssim_has_another_name_where_five_scales_do_not_fit():
    assert [scales_that_fit(s, s) for s in (8, 11, 22, 128, 175, 176, 512)] == [0, 1, 2, 4, 4, 5, 5]
    image, truth = pictures(128, 128)
    with pytest.raises(DataError, match="4 do, under the name ms_ssim_4_scales"):
        ms_ssim(image, truth)
    assert 0 < ms_ssim(image, truth, 4) < 1
    assert (ms_ssim_name(5), ms_ssim_name(4)) == ("ms_ssim", "ms_ssim_4_scales")


def slow_gradient_map(image, truth):
    """Block by block: luminance, 2 x 2 means, Prewitt, similarity."""
    grey = [p @ [0.299, 0.587, 0.114] for p in (image, truth)]
    halved = []
    for g in grey:
        height, width = g.shape[0] // 2, g.shape[1] // 2
        halved.append(
            np.array(
                [
                    [g[2 * r : 2 * r + 2, 2 * c : 2 * c + 2].mean() for c in range(width)]
                    for r in range(height)
                ]
            )
        )
    result = np.zeros([n - 2 for n in halved[0].shape])
    for r in range(result.shape[0]):
        for c in range(result.shape[1]):
            m = []
            for g in halved:
                part = g[r : r + 3, c : c + 3]
                dx = (part[:, 2] - part[:, 0]).sum() / 3
                dy = (part[2] - part[0]).sum() / 3
                m.append(np.sqrt(dx**2 + dy**2))
            c0 = 170 / 255**2
            result[r, c] = (2 * m[0] * m[1] + c0) / (m[0] ** 2 + m[1] ** 2 + c0)
    return result


def test_gradient_similarity_agrees_with_its_definition_block_by_block():
    image, truth = pictures(41, 36)
    expected = slow_gradient_map(image, truth)
    assert gradient_similarity(image, truth) == pytest.approx(expected.mean(), abs=1e-12)
    deviation = gradient_similarity_deviation(image, truth)
    assert deviation == pytest.approx(expected.std(), abs=1e-12)
    assert gradient_similarity(truth, truth) == 1.0
    mask = np.zeros((41, 36), bool)
    mask[7:30, 8:27] = True  # cuts blocks in half at the first row and the last column
    inside = expected[3:14, 3:12]
    assert gradient_similarity(image, truth, mask) == pytest.approx(inside.mean(), abs=1e-12)


def test_blur_is_what_gradient_similarity_sees_and_a_grey_veil_is_not():
    from scipy.ndimage import gaussian_filter

    _, truth = pictures(96, 96)
    blurred = gaussian_filter(truth, (2, 2, 0))
    brighter = np.clip(truth * 0.9 + 0.1, 0, 1)
    assert psnr(blurred, truth) > psnr(brighter, truth)
    assert gradient_similarity(blurred, truth) < gradient_similarity(brighter, truth)


def test_all_metrics_of_a_picture_by_name_with_units_and_directions():
    image, truth = pictures(128, 120)
    mask = np.zeros((128, 120), bool)
    mask[20:100, 20:100] = True
    found = image_metrics(image, truth, mask)
    assert set(found) == {
        *("psnr", "psnr_masked", "ssim", "ssim_masked", "ms_ssim_4_scales"),
        *("gradient_similarity", "gradient_similarity_masked"),
        *("gradient_similarity_deviation", "gradient_similarity_deviation_masked"),
    }
    assert found["psnr_masked"] == psnr(image, truth, mask)
    assert {unit_of(name) for name in found if name.startswith("psnr")} == {"dB"}
    down = {name for name in found if not larger_is_better(name)}
    assert down == {"gradient_similarity_deviation", "gradient_similarity_deviation_masked"}


@pytest.mark.parametrize("metric", [psnr, ssim, ms_ssim, gradient_similarity])
def test_pictures_that_cannot_be_compared(metric):
    image, truth = pictures(180, 180)
    with pytest.raises((DataError, TypeCheckError)):  # where signatures are checked, they say it
        metric(image[:-1], truth)
    with pytest.raises(DataError, match="expected 0 to 1"):
        metric(image * 255, truth)
    with pytest.raises(DataError, match="expected 0 to 1"):
        metric(np.where(image > 0.5, np.nan, image), truth)
    with pytest.raises(DataError):
        metric(image[:4, :4] * 2, truth[:4, :4])


def test_masks_that_hold_nothing():
    image, truth = pictures(40, 40)
    with pytest.raises(DataError, match="mask is empty"):
        psnr(image, truth, np.zeros((40, 40), bool))
    border = np.zeros((40, 40), bool)
    border[:, :3] = True
    with pytest.raises(DataError, match="windows are whole"):
        ssim(image, truth, border)
    checks = np.indices((40, 40)).sum(axis=0) % 2 == 0
    with pytest.raises(DataError, match="no 2 x 2 block"):
        gradient_similarity(image, truth, checks)
