"""Screw motions against the matrix exponential, and at rest."""

import torch

from facemill.nets.screw import screw_coefficients, screw_motion, screw_pullback


def twist_matrix(rotation: torch.Tensor, translation: torch.Tensor) -> torch.Tensor:
    x, y, z = rotation.unbind(-1)
    zero = torch.zeros_like(x)
    rows = [zero, -z, y, translation[:, 0], z, zero, -x, translation[:, 1]]
    rows += [-y, x, zero, translation[:, 2], zero, zero, zero, zero]
    return torch.stack(rows, -1).unflatten(-1, (4, 4))


def exponential(points, rotation, translation):
    motion = torch.linalg.matrix_exp(twist_matrix(rotation, translation))
    return (motion[:, :3, :3] @ points[:, :, None])[..., 0] + motion[:, :3, 3]


def cases(scale: float, dtype=torch.float64):
    generator = torch.Generator().manual_seed(3)
    points, rotation, translation = (
        torch.randn(200, 3, generator=generator, dtype=dtype) for _ in range(3)
    )
    return points, scale * rotation, translation


def test_matches_the_matrix_exponential_at_all_angles():
    for scale in (0, 1e-9, 1e-4, 0.03, 0.06, 0.3, 1.0, 2.0):
        points, rotation, translation = cases(scale)
        ours = screw_motion(points, rotation, translation)
        assert (ours - exponential(points, rotation, translation)).abs().max() < 1e-12
        single = screw_motion(points.float(), rotation.float(), translation.float())
        assert (single - ours).abs().max() < 1e-5


def test_series_and_closed_form_meet():
    s = torch.tensor([[0.1**2 * (1 - 1e-9)], [0.1**2 * (1 + 1e-9)]], dtype=torch.float64)
    for coefficient in screw_coefficients(s):
        assert (coefficient[0] - coefficient[1]).abs() < 1e-11


def test_is_rigid():
    points, rotation, translation = cases(1.5)
    other = points.flip(0)
    moved = screw_motion(points, rotation, translation) - screw_motion(other, rotation, translation)
    assert torch.allclose(moved.norm(dim=-1), (points - other).norm(dim=-1), atol=1e-12)


def test_no_rotation_is_a_translation_with_finite_gradients_of_both_orders():
    points, rotation, translation = cases(0.0, torch.float32)
    rotation.requires_grad_()
    points.requires_grad_()
    moved = screw_motion(points, rotation, translation)
    assert torch.equal(moved, points + translation)
    (first,) = torch.autograd.grad(moved.square().sum(), rotation, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), points)
    assert first.isfinite().all() and second.isfinite().all()


def test_gradients_match_those_of_the_exponential():
    for scale in (1e-3, 0.05, 0.7):
        points, rotation, translation = cases(scale)
        rotation.requires_grad_()
        (ours,) = torch.autograd.grad(
            screw_motion(points, rotation, translation).square().sum(), rotation
        )
        (theirs,) = torch.autograd.grad(
            exponential(points, rotation, translation).square().sum(), rotation
        )
        assert torch.allclose(ours, theirs, atol=1e-9)


def test_the_written_out_pullback_is_autograds_in_both_orders():
    for scale in (0.0, 1e-3, 0.05, 0.7, 2.0):
        arguments = [value.requires_grad_() for value in cases(scale)]
        gradient = torch.randn(200, 3, dtype=torch.float64, requires_grad=True)
        ours = screw_pullback(*arguments, gradient)
        theirs = torch.autograd.grad(
            screw_motion(*arguments), arguments, grad_outputs=gradient, create_graph=True
        )
        for a, b in zip(ours, theirs, strict=True):
            assert torch.allclose(a, b, atol=1e-10)
        seconds = [
            torch.autograd.grad(sum((v * v).sum() for v in first), [*arguments, gradient])
            for first in (ours, theirs)
        ]
        for a, b in zip(*seconds, strict=True):
            assert torch.allclose(a, b, atol=1e-8)
