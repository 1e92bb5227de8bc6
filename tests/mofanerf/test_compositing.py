"""The volume rendering sum against closed forms, in double precision."""

import math

import torch

from facemill.mofanerf.compositing import composite


def cells(points: int, near: float, far: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The middles of equal cells of a ray, and the cells' widths."""
    borders = torch.linspace(near, far, points + 1, dtype=torch.float64)
    return 0.5 * (borders[1:] + borders[:-1]), borders.diff()


def test_a_homogeneous_sphere_stops_as_much_as_its_chord_says():
    """opacity = 1 - exp(-sigma chord) for rays at several distances from the centre."""
    sigma, radius = 3.0, 1.0
    for away in (0.0, 0.3, 0.8, 1.2):
        half = math.sqrt(max(radius**2 - away**2, 0.0))
        t, widths = cells(4000, 0.0, 4.0)
        density = sigma * (((t - 2.0) ** 2 + away**2) < radius**2).double()
        colour = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64).expand(len(t), 3)
        seen = composite(density, colour, t, torch.tensor(1.0), widths)
        expected = 1 - math.exp(-sigma * 2 * half)
        assert abs(seen.opacity.item() - expected) < 2e-3 * (half > 0) + 1e-12
        torch.testing.assert_close(seen.colour, expected * colour[0], atol=2e-3, rtol=0)


def test_a_gaussian_blob_stops_as_its_integral_says():
    """The optical depth of a Gaussian along a line is sigma sqrt(2 pi) s: matched to 1e-4."""
    peak, spread = 2.0, 0.25
    t, widths = cells(2000, 0.0, 4.0)
    density = peak * torch.exp(-((t - 2.0) ** 2) / (2 * spread**2))
    seen = composite(density, torch.ones(len(t), 3).double(), t, torch.tensor(1.0), widths)
    expected = 1 - math.exp(-peak * math.sqrt(2 * math.pi) * spread)
    assert abs(seen.opacity.item() - expected) < 1e-4


def test_uneven_samples_stop_as_much_as_the_lengths_they_stand_for():
    """Even density, uneven cells: the optical depth is sigma times the whole, to the bit."""
    borders = torch.tensor([0.0, 0.1, 0.15, 0.9, 2.0], dtype=torch.float64)
    middle, widths = 0.5 * (borders[1:] + borders[:-1]), borders.diff()
    density, colour = torch.full((4,), 1.3).double(), torch.ones(4, 3).double()
    seen = composite(density, colour, middle, torch.tensor(2.0), widths)
    assert abs(seen.opacity.item() - (1 - math.exp(-1.3 * 2.0 * 2.0))) < 1e-7


def test_depth_of_a_wall_is_where_it_stands():
    t, _ = cells(3000, 0.0, 3.0)
    density = 1e4 * (t >= 1.7).double()
    seen = composite(density, torch.ones(len(t), 3).double(), t, torch.tensor(1.0))
    assert abs(seen.depth.item() - 1.7) < 2e-3 and seen.opacity.item() > 1 - 1e-12


def test_gradients_are_those_of_finite_differences():
    torch.manual_seed(0)
    density = torch.rand(5, 9, dtype=torch.float64, requires_grad=True)
    colour = torch.rand(5, 9, 3, dtype=torch.float64, requires_grad=True)
    t = torch.rand(5, 9, dtype=torch.float64).sort(-1).values
    length = torch.rand(5, dtype=torch.float64) + 0.5
    widths = torch.rand(5, 9, dtype=torch.float64)

    def seen(density, colour):
        out = composite(density, colour, t, length, widths)
        return out.colour, out.opacity, out.depth

    assert torch.autograd.gradcheck(seen, (density, colour))


def test_longer_directions_with_shorter_parameters_are_the_same_ray():
    torch.manual_seed(1)
    density, colour = torch.rand(4, 7).double(), torch.rand(4, 7, 3).double()
    t = torch.rand(4, 7).double().sort(-1).values
    widths, length = torch.rand(4, 7).double(), torch.ones(4).double()
    one = composite(density, colour, t, length, widths)
    other = composite(density, colour, t / 3, 3.0 * length, widths / 3)
    torch.testing.assert_close(one.colour, other.colour)
    torch.testing.assert_close(one.weights, other.weights)


def test_weights_are_never_negative_and_sum_to_the_opacity():
    torch.manual_seed(2)
    t = torch.linspace(1, 2, 20).expand(8, 20)
    seen = composite(50 * torch.rand(8, 20), torch.rand(8, 20, 3), t, torch.ones(8))
    assert (seen.weights >= 0).all() and (seen.opacity <= 1 + 1e-6).all()
    torch.testing.assert_close(seen.weights.sum(-1), seen.opacity)
