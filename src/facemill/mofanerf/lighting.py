"""Light as nine spherical harmonics: estimated from a picture and normals, and taken out of it.

Basri and Jacobs 2003, Ramamoorthi and Hanrahan 2001: what a matt surface reflects is, to about one
per cent, a quadratic polynomial of its normal. No network and no weights are needed; the surface is
the fitted one. Shading acts on linear light, so colours leave sRGB for it and come back.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from facemill.errors import DataError
from facemill.metrics.images import LUMINANCE

ROUNDS = 25
"""Rounds of reweighted least squares."""

LEAST_SHADING = 0.2
"""Of the mean; darker pixels would be lifted into noise."""

LEAST_PIXELS = 200
"""Pixels with normals below which nine numbers are not estimated."""

RIDGE = 1e-3
"""Weight of the second-order coefficients' squares against the mean squared residual: half a head
shows half the normals, which leave some of them nearly free."""


@dataclass(frozen=True)
class Light:
    """Nine coefficients of real spherical harmonics, in the frame of the normals.

    In the order 1, y, z, x, xy, yz, 3z^2 - 1, xz, x^2 - y^2, normalised to unit square over the
    sphere. Shading is their sum at a normal; 1 leaves a colour as it is.
    """

    coefficients: Float[np.ndarray, "9"]

    def shading(self, normals: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n"]:
        """Factor on linear light at unit normals; may be below 0 where the light ends."""
        return harmonics(normals) @ self.coefficients

    @property
    def direction(self) -> Float[np.ndarray, "3"]:
        """Unit vector towards where most light comes from: the first order."""
        y, z, x = self.coefficients[1:4]
        vector = np.array([x, y, z])
        return vector / max(float(np.linalg.norm(vector)), 1e-12)


NEUTRAL = Light(np.array([math.sqrt(4 * math.pi), 0, 0, 0, 0, 0, 0, 0, 0]))
"""The same light from everywhere: shading 1, which is how training views look (unlit)."""


def harmonics(normals: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 9"]:
    """Real spherical harmonics of orders 0 to 2 at unit vectors."""
    x, y, z = np.moveaxis(np.asarray(normals, np.float64), -1, 0)
    first = math.sqrt(3 / (4 * math.pi))
    second = math.sqrt(15 / (4 * math.pi))
    return np.stack(
        [
            np.full_like(x, math.sqrt(1 / (4 * math.pi))),
            first * y,
            first * z,
            first * x,
            second * x * y,
            second * y * z,
            math.sqrt(5 / (16 * math.pi)) * (3 * z**2 - 1),
            second * x * z,
            second / 2 * (x**2 - y**2),
        ],
        axis=-1,
    )


def linear(srgb: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Linear light of sRGB values, both 0 to 1 (IEC 61966-2-1)."""
    srgb = np.asarray(srgb, np.float64)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def srgb(light: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """sRGB values of linear light, clipped to 0 to 1."""
    light = np.clip(light, 0.0, 1.0)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def estimate_light(
    colour: Float[np.ndarray, "h w 3"],
    normals: Float[np.ndarray, "h w 3"],
    region: Bool[np.ndarray, "h w"],
    albedo: Float[np.ndarray, "h w 3"] | None = None,
) -> Light:
    """The light under which the surface looks as it does, from luminance alone.

    ``colour`` in sRGB, 0 to 1; ``normals`` unit (0: none); ``region`` says where the surface is to
    be trusted, skin preferably. With ``albedo`` (sRGB, unlit) the light's strength is known too;
    without, skin counts as one colour and the light is scaled to mean shading 1 over the region.
    Reweighted least squares (Tukey): brows, lips, highlights and cast shadows lose their say.
    Raises DataError where fewer than LEAST_PIXELS pixels have a normal.
    """
    use = region & (np.linalg.norm(normals, axis=2) > 0.5)
    if albedo is not None:
        use &= albedo.max(axis=2) > 0.02
    if use.sum() < LEAST_PIXELS:
        raise DataError(
            f"lighting: {int(use.sum())} pixels of the region have a normal, expected at least "
            f"{LEAST_PIXELS}. Check the mask and that the fitted surface covers the face."
        )
    seen = linear(colour[use]) @ LUMINANCE
    base = np.ones_like(seen) if albedo is None else linear(albedo[use]) @ LUMINANCE
    basis = harmonics(normals[use])
    design = basis * base[:, None]
    coefficients = _robust(design, seen)
    if albedo is None:
        coefficients = coefficients / max(float((basis @ coefficients).mean()), 1e-6)
    return Light(coefficients)


def _robust(
    design: Float[np.ndarray, "n 9"], values: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "9"]:
    """Least squares with Tukey's weights, their scale from the median residual."""
    weights = np.ones(len(values))
    ridge = np.diag([0.0] * 4 + [RIDGE] * 5) * float((design**2).sum(axis=0).mean())
    solution = np.zeros(9)
    for _ in range(ROUNDS):
        weighted = design * weights[:, None]
        solution = np.linalg.solve(weighted.T @ design + ridge, weighted.T @ values)
        residual = np.abs(values - design @ solution)
        cut = 4.685 * max(float(np.median(residual)) / 0.6745, 1e-4)
        weights = np.where(residual < cut, (1 - (residual / cut) ** 2) ** 2, 0.0)
    return solution


def relit(
    colour: Float[np.ndarray, "h w 3"],
    normals: Float[np.ndarray, "h w 3"],
    light: Light,
    target: Light = NEUTRAL,
) -> Float[np.ndarray, "h w 3"]:
    """The picture under another light: linear light divided by one shading, times the other.

    All three channels get the same factor, so hue and saturation stay. Pixels without a normal
    stay as they are. Colours in sRGB, 0 to 1.
    """
    have = np.linalg.norm(normals, axis=2) > 0.5
    shading = light.shading(normals[have])
    least = LEAST_SHADING * max(float(shading.mean()) if len(shading) else 1.0, 1e-6)
    factor = np.maximum(target.shading(normals[have]), 0.0) / np.maximum(shading, least)
    result = np.array(colour, np.float64)
    result[have] = srgb(linear(result[have]) * factor[:, None])
    return result
