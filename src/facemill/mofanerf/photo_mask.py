"""Which pixels of a photo are the head, estimated from its landmarks and colours alone.

Two colour models, Gaussian mixtures of what surely is the head and of what surely is not, give each
pixel a probability; a guided filter lets it follow the picture's edges; both are repeated. It is a
stand-in for a mask file: hair of the background's colour goes wrong.
"""

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage
from scipy.spatial import ConvexHull, Delaunay

from facemill.errors import DataError
from facemill.mofanerf.lighting import linear
from facemill.randomness import generator

WORKING_SIDE = 256
"""Longer side of the picture that is worked on, pixels."""

COMPONENTS = 4
"""Gaussians of each colour model."""

ROUNDS = 4
"""Times that colour models and probabilities are made from each other."""


def estimate_mask(
    colour: UInt8[np.ndarray, "h w 3"], landmarks: Float[np.ndarray, "68 2"]
) -> Bool[np.ndarray, "h w"]:
    """The head's pixels; landmarks are image points with pixel centres at +0.5.

    The landmarks' hull is surely head; what lies far from it is surely not. Raises DataError where
    the face leaves no room for a background to be told apart.
    """
    height, width = colour.shape[:2]
    step = max(1.0, max(height, width) / WORKING_SIDE)
    small = _shrunk(colour, step)
    points = landmarks / step
    inside, near, far = _certainty(points, small.shape[:2])
    if far.sum() < 50 or inside.sum() < 50:
        raise DataError(
            "mask: the face fills the photo or is too small; its surroundings do not tell what is "
            "head. Put a mask picture beside the photo."
        )
    features = _features(small)
    probability = np.where(inside, 1.0, np.where(far, 0.0, 0.5))
    guide = small.astype(np.float64).mean(axis=2) / 255.0
    for _ in range(ROUNDS):
        head = near & ((probability > 0.6) | inside)
        ground = ~inside & ((probability < 0.4) | far)
        odds = _log_density(features, features[head]) - _log_density(features, features[ground])
        probability = 1.0 / (1.0 + np.exp(-np.clip(odds, -20, 20)))
        probability = _guided(guide, probability, radius=4, tolerance=1e-3)
        probability = np.where(inside, 1.0, np.where(near, probability, 0.0))
    mask = _one_piece(probability > 0.5, inside)
    soft = ndimage.zoom(
        mask.astype(float), (height / mask.shape[0], width / mask.shape[1]), order=1
    )
    # Pixels on the outline are of both; those of the face alone shall be fitted.
    return ndimage.binary_erosion(soft > 0.5, border_value=1) | hull_mask(
        landmarks, (height, width)
    )


def hull_mask(points: Float[np.ndarray, "n 2"], shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """Pixels whose centre lies in the convex hull of image points."""
    rows, columns = np.indices(shape)
    centres = np.stack([columns.ravel(), rows.ravel()], axis=1) + 0.5
    corners = points[ConvexHull(points).vertices]
    return (Delaunay(corners).find_simplex(centres) >= 0).reshape(shape)


def _certainty(
    points: Float[np.ndarray, "68 2"], shape: tuple[int, int]
) -> tuple[Bool[np.ndarray, "h w"], Bool[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Surely head; possibly head; surely not head.

    The face's own axes: chin to brows is up. A head with hair reaches about one face height above
    the brows and half a face width beyond the ears.
    """
    brows, chin = points[17:27].mean(axis=0), points[8]
    up = brows - chin
    tall = float(np.linalg.norm(up))
    up = up / max(tall, 1e-9)
    across = np.array([-up[1], up[0]])
    wide = float(np.ptp(points @ across))
    rows, columns = np.indices(shape)
    centres = np.stack([columns, rows], axis=-1) + 0.5
    offset = centres - (brows + 0.05 * tall * up)
    x, y = offset @ across - ((points.mean(axis=0) - brows) @ across), offset @ up
    reach = 0.85 * max(wide, 0.75 * tall)
    above = (x / reach) ** 2 + (y / np.where(y > 0, 1.15 * tall, 1.35 * tall)) ** 2
    near = above < 1.0
    return hull_mask(points, shape), near, above > 1.35


def _features(picture: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
    """Lightness and two opponent colours of linear light's cube root, about as eyes weigh them."""
    root = np.cbrt(linear(picture / 255.0))
    opponent = np.array([[0.3, 0.6, 0.1], [1.5, -1.5, 0.0], [0.6, 0.6, -1.2]])
    return ndimage.gaussian_filter(root @ opponent.T, (0.7, 0.7, 0))


def _log_density(
    features: Float[np.ndarray, "h w 3"], samples: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "h w"]:
    """Logarithm of a Gaussian mixture's density, fitted to the samples by a few rounds of EM."""
    rng = generator(0, "mask", "colours")
    samples = samples[rng.permutation(len(samples))[:4000]]
    floor = 4e-4 * np.eye(3)
    means = samples[rng.choice(len(samples), COMPONENTS, replace=False)]
    covariances = np.repeat(np.cov(samples.T)[None] + floor, COMPONENTS, axis=0)
    shares = np.full(COMPONENTS, 1 / COMPONENTS)
    for _ in range(12):
        logs = _component_logs(samples, means, covariances, shares)
        duty = np.exp(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True))
        total = duty.sum(axis=0) + 1e-9
        shares, means = total / total.sum(), (duty.T @ samples) / total[:, None]
        away = samples[:, None] - means
        covariances = np.einsum("nk,nki,nkj->kij", duty, away, away) / total[:, None, None] + floor
    logs = _component_logs(features.reshape(-1, 3), means, covariances, shares)
    return np.logaddexp.reduce(logs, axis=1).reshape(features.shape[:2])


def _component_logs(
    values: Float[np.ndarray, "n 3"],
    means: Float[np.ndarray, "k 3"],
    covariances: Float[np.ndarray, "k 3 3"],
    shares: Float[np.ndarray, " k"],
) -> Float[np.ndarray, "n k"]:
    away = values[:, None] - means
    inverse = np.linalg.inv(covariances)
    distance = np.einsum("nki,kij,nkj->nk", away, inverse, away)
    return np.log(shares) - 0.5 * (distance + np.linalg.slogdet(covariances)[1])


def _guided(
    guide: Float[np.ndarray, "h w"],
    values: Float[np.ndarray, "h w"],
    radius: int,
    tolerance: float,
) -> Float[np.ndarray, "h w"]:
    """Guided filter (He, Sun, Tang 2010): smooth but for the edges of the guide."""

    def mean(x: np.ndarray) -> np.ndarray:
        return ndimage.uniform_filter(x, 2 * radius + 1, mode="nearest")

    average, middle = mean(guide), mean(values)
    slope = (mean(guide * values) - average * middle) / (
        mean(guide * guide) - average**2 + tolerance
    )
    return np.clip(mean(slope) * guide + mean(middle - slope * average), 0.0, 1.0)


def _one_piece(mask: Bool[np.ndarray, "h w"], seed: Bool[np.ndarray, "h w"]) -> np.ndarray:
    """What hangs together with the seed, without crumbs, thin bridges and holes."""
    opened = ndimage.binary_opening(mask, iterations=2) | seed
    parts, _ = ndimage.label(opened)
    counts = np.bincount(parts[seed], minlength=2)
    counts[0] = 0
    return ndimage.binary_fill_holes(parts == counts.argmax())


def _enlarged(mask: Bool[np.ndarray, "a b"], height: int, width: int) -> np.ndarray:
    """The mask at the photo's size, its border between pixel centres bilinear."""
    rows, columns = (
        (np.arange(whole) + 0.5) * n / whole - 0.5
        for n, whole in zip(mask.shape, (height, width), strict=True)
    )
    place = np.meshgrid(rows, columns, indexing="ij")
    return ndimage.map_coordinates(mask.astype(np.float32), place, order=1, mode="nearest") > 0.5


def _shrunk(colour: UInt8[np.ndarray, "h w 3"], step: float) -> UInt8[np.ndarray, "a b 3"]:
    """The picture with every ``step`` pixels made one, averaged before."""
    if step <= 1:
        return colour
    size = [max(1, round(n / step)) for n in colour.shape[:2]]
    blurred = ndimage.gaussian_filter(colour.astype(np.float32), (step / 2, step / 2, 0))
    rows, columns = (
        np.minimum(((np.arange(n) + 0.5) * whole / n).astype(int), whole - 1)
        for n, whole in zip(size, colour.shape[:2], strict=True)
    )
    return np.round(blurred[rows[:, None], columns]).astype(np.uint8)
