"""How close a picture comes to the truth: PSNR, SSIM, MS-SSIM, similarity of gradients.

Definitions and formulas: docs/metrics.md. Pictures are colours in [0, 1]. With a mask a metric is
the mean over the mask alone; without one, a black background counts as picture and flatters every
metric by decibels, so tables hold both under two names.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import correlate1d, uniform_filter

from facemill.errors import DataError

WINDOW, SIGMA = 11, 1.5
"""Width and standard deviation, in pixels, of SSIM's Gaussian window (Wang et al. 2004)."""

K1, K2 = 0.01, 0.03
"""SSIM's small constants; C = (K * range)^2 with range 1 (Wang et al. 2004)."""

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of MS-SSIM's five scales, finest first (Wang, Simoncelli, Bovik 2003)."""

GRADIENT_CONSTANT = 170.0 / 255.0**2
"""Constant of the gradient similarity for luminance in [0, 1] (Xue et al. 2014: 170 for 8 bit)."""

LUMINANCE = np.array([0.299, 0.587, 0.114])
"""Weights of R, G, B in luminance (ITU-R BT.601)."""

Picture = Float[np.ndarray, "h w 3"]
Mask = Bool[np.ndarray, "h w"]


def psnr(image: Picture, truth: Picture, mask: Mask | None = None) -> float:
    """Peak signal-to-noise ratio in dB: -10 log10 of the mean squared error over all channels.

    Peak 1. Equal pictures give infinity. Raises DataError for pictures of different sizes, colours
    outside [0, 1] or an empty mask; so do all functions here.
    """
    image, truth = _pair(image, truth, mask)
    squared = (image - truth) ** 2
    error = float(squared.mean() if mask is None else squared[mask].mean())
    return float("inf") if error == 0 else float(-10.0 * np.log10(error))


def ssim(image: Picture, truth: Picture, mask: Mask | None = None) -> float:
    """Structural similarity (Wang et al. 2004), at most 1, by its most used variant.

    Gaussian window 11 x 11 with sigma 1.5 and weights of sum 1 (biased variances), C1 = 0.01^2,
    C2 = 0.03^2, each colour channel by itself, then the mean over channels and over the windows
    that lie wholly inside the picture. With a mask, over the windows whose centre is in the mask.
    """
    image, truth = _pair(image, truth, mask)
    _require_size(truth, WINDOW, "ssim")
    brightness, structure = _ssim_maps(image, truth)
    index = brightness * structure
    if mask is None:
        return float(index.mean())
    margin = WINDOW // 2
    inside = mask[margin:-margin, margin:-margin]
    if not inside.any():
        raise DataError(
            f"ssim: the mask has no pixel further than {margin} pixels from the border, where "
            "windows are whole. Use larger pictures or the whole picture."
        )
    return float(index[inside].mean())


def ms_ssim(image: Picture, truth: Picture, scales: int = 5) -> float:
    """Multi-scale SSIM (Wang, Simoncelli, Bovik 2003), at most 1, over the whole picture.

    The contrast-structure term of every scale but the coarsest and the whole SSIM of the coarsest,
    each averaged over a scale and a channel, negative ones set to 0, to the powers SCALE_WEIGHTS;
    scales are halved by means of 2 x 2 pixels. Fewer than five scales use the finest weights, of
    sum 1, and are another metric: :func:`ms_ssim_name`. Raises DataError where the coarsest
    scale is smaller than the window.
    """
    image, truth = _pair(image, truth, None)
    if not 1 <= scales <= len(SCALE_WEIGHTS):
        raise DataError(f"ms_ssim: {scales} scales; expected 1 to {len(SCALE_WEIGHTS)}.")
    fitting = scales_that_fit(*truth.shape[:2])
    if scales > fitting:
        height, width = truth.shape[:2]
        raise DataError(
            f"ms_ssim: {scales} scales do not fit into {width} x {height} pixels, where the "
            f"coarsest would be smaller than {WINDOW}; {fitting} do, under the name "
            f"{ms_ssim_name(max(fitting, 1))}. Use larger pictures or fewer scales."
        )
    weights = np.array(SCALE_WEIGHTS[:scales]) / sum(SCALE_WEIGHTS[:scales])
    total = np.ones(3)
    for scale, weight in enumerate(weights):
        brightness, structure = _ssim_maps(image, truth)
        term = structure if scale < scales - 1 else brightness * structure
        total *= np.maximum(term.mean(axis=(0, 1)), 0.0) ** weight
        image, truth = _halved(image), _halved(truth)
    return float(total.mean())


def scales_that_fit(height: int, width: int) -> int:
    """The most scales, at most five, whose coarsest still holds a whole window."""
    sizes = [min(height, width) >> scale for scale in range(len(SCALE_WEIGHTS))]
    return sum(size >= WINDOW for size in sizes)


def ms_ssim_name(scales: int) -> str:
    """The metric's name in tables: ``ms_ssim`` is the published one with five scales alone."""
    return "ms_ssim" if scales == len(SCALE_WEIGHTS) else f"ms_ssim_{scales}_scales"


def gradient_similarity(image: Picture, truth: Picture, mask: Mask | None = None) -> float:
    """Mean gradient-magnitude similarity, at most 1 (Xue et al. 2014, their GMSM).

    (2 a b + c) / (a^2 + b^2 + c) of the luminance gradients' lengths a and b (Prewitt, after means
    of 2 x 2 pixels), c = 170 / 255^2. With a mask, over the 2 x 2 blocks that lie wholly in it.
    """
    return float(_gradient_map(image, truth, mask).mean())


def gradient_similarity_deviation(
    image: Picture, truth: Picture, mask: Mask | None = None
) -> float:
    """Standard deviation of the same map (Xue et al. 2014, GMSD); 0 is perfect, less is better."""
    return float(_gradient_map(image, truth, mask).std())


def image_metrics(image: Picture, truth: Picture, mask: Mask) -> dict[str, float]:
    """All metrics of a picture by their names in tables, whole and (``*_masked``) in the mask.

    MS-SSIM has as many scales as fit and the name that says so; pictures too small for one have
    none. LPIPS needs weights of others and is not there (docs/metrics.md).
    """
    metrics = {}
    for name, measure in (
        ("psnr", psnr),
        ("ssim", ssim),
        ("gradient_similarity", gradient_similarity),
        ("gradient_similarity_deviation", gradient_similarity_deviation),
    ):
        metrics[name] = measure(image, truth)
        metrics[f"{name}_masked"] = measure(image, truth, mask)
    scales = scales_that_fit(*truth.shape[:2])
    if scales:
        metrics[ms_ssim_name(scales)] = ms_ssim(image, truth, scales)
    return metrics


def unit_of(metric: str) -> str:
    """Unit of an image metric: dB for PSNR, 1 for those that are pure numbers."""
    return "dB" if metric.startswith("psnr") else "1"


def _ssim_maps(
    image: Float[np.ndarray, "h w 3"], truth: Float[np.ndarray, "h w 3"]
) -> tuple[Float[np.ndarray, "a b 3"], Float[np.ndarray, "a b 3"]]:
    """Luminance term and contrast-structure term at the centres of all whole windows."""
    c1, c2 = K1**2, K2**2
    mean_x, mean_y = _blurred(image), _blurred(truth)
    product = mean_x * mean_y
    squares = mean_x**2 + mean_y**2
    variances = _blurred(image**2 + truth**2) - squares
    covariance = _blurred(image * truth) - product
    return (2 * product + c1) / (squares + c1), (2 * covariance + c2) / (variances + c2)


def _blurred(values: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "a b 3"]:
    """Gaussian means of the whole windows: 5 pixels less at every side."""
    offset = np.arange(WINDOW) - WINDOW // 2
    kernel = np.exp(-0.5 * (offset / SIGMA) ** 2)
    kernel /= kernel.sum()
    margin = WINDOW // 2
    rows = correlate1d(values, kernel, axis=0)[margin:-margin]
    return correlate1d(rows, kernel, axis=1)[:, margin:-margin]


def _halved(values: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels; an odd last row or column is left out."""
    height, width = values.shape[0] // 2 * 2, values.shape[1] // 2 * 2
    even = values[:height, :width]
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4


def _gradient_map(image: Picture, truth: Picture, mask: Mask | None) -> Float[np.ndarray, " n"]:
    """Gradient-magnitude similarity of every block that counts; the outermost have no gradient."""
    image, truth = _pair(image, truth, mask)
    _require_size(truth, 6, "gradient_similarity")
    a, b = (_gradient_length(_halved(picture @ LUMINANCE)) for picture in (image, truth))
    similarity = (2 * a * b + GRADIENT_CONSTANT) / (a**2 + b**2 + GRADIENT_CONSTANT)
    if mask is None:
        return similarity.ravel()
    whole = _halved(mask.astype(float))[1:-1, 1:-1] == 1.0
    if not whole.any():
        raise DataError(
            "gradient_similarity: no 2 x 2 block lies wholly in the mask. Use a larger mask or "
            "the whole picture."
        )
    return similarity[whole]


def _gradient_length(values: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "a b"]:
    """Length of the Prewitt gradient: central differences averaged over three lines."""
    across = uniform_filter(values, size=(3, 1))
    down = uniform_filter(values, size=(1, 3))
    dx = (across[:, 2:] - across[:, :-2])[1:-1]
    dy = (down[2:] - down[:-2])[:, 1:-1]
    return np.hypot(dx, dy)


def _pair(
    image: Picture, truth: Picture, mask: Mask | None
) -> tuple[Float[np.ndarray, "h w 3"], Float[np.ndarray, "h w 3"]]:
    """Both pictures in double precision, once it is sure that they can be compared."""
    if image.shape != truth.shape or (mask is not None and mask.shape != truth.shape[:2]):
        found = f"{image.shape}, {truth.shape}" + ("" if mask is None else f", mask {mask.shape}")
        raise DataError(f"pictures of shape {found}; expected one size. Resize or render again.")
    if mask is not None and not mask.any():
        raise DataError("the mask is empty; there is nothing to compare. Use the whole picture.")
    for name, picture in (("picture", image), ("truth", truth)):
        low, high = float(picture.min()), float(picture.max())
        if not (low >= -1e-6 and high <= 1 + 1e-6):
            raise DataError(
                f"{name}: colours from {low:.4g} to {high:.4g}; expected 0 to 1. Divide 8-bit "
                "colours by 255 and clip what a network made."
            )
    return image.astype(np.float64), truth.astype(np.float64)


def _require_size(picture: np.ndarray, least: int, name: str) -> None:
    height, width = picture.shape[:2]
    if min(height, width) < least:
        raise DataError(f"{name}: {width} x {height} pixels; expected at least {least} a side.")
