"""Screw motions against the matrix exponential, and at rest."""

import math

import torch

from facemill.nets.screw import ScrewSweeps, screw_functions, screw_motion


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
    s = torch.tensor([1 - 1e-12, 1 + 1e-12], dtype=torch.float64)
    for coefficient in screw_functions(s, order=7):
        assert (coefficient[0] - coefficient[1]).abs() < 1e-12


def test_functions_are_their_own_series_and_harmless_at_any_angle():
    s = torch.tensor([0.0, 0.3, 0.9, 1.1, 4.0], dtype=torch.float64)
    assert torch.equal(screw_functions(s)[:, :3], screw_functions(s[:3]))
    for k, found in enumerate(screw_functions(s, order=7)):
        series = sum((-s) ** j / float(math.factorial(2 * j + k)) for j in range(20))
        assert (found - series).abs().max() < 5e-14, k
    large = torch.tensor([1e-30, 1e9], requires_grad=True)
    functions = screw_functions(large)
    assert torch.autograd.grad(functions.sum(), large)[0].isfinite().all()


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


def test_the_written_out_sweeps_are_autograds_in_both_orders():
    for scale in (0.0, 1e-3, 0.05, 0.7, 2.0):
        points, rotation, translation = cases(scale)
        points.requires_grad_()
        twist = torch.cat([rotation, translation], -1).requires_grad_()
        gradient = torch.randn(200, 3, dtype=torch.float64, requires_grad=True)
        moved = screw_motion(points, twist[:, :3], twist[:, 3:])
        pulled = torch.autograd.grad(moved, [points, twist], gradient, create_graph=True)
        loss = moved.square().sum() + sum(p.square().sum() for p in pulled)
        theirs = torch.autograd.grad(loss, [gradient, points, twist])

        sweeps = ScrewSweeps()
        with torch.no_grad():
            assert torch.allclose(sweeps.forward(points, twist), moved, atol=1e-12)
            for a, b in zip(sweeps.pull(gradient), pulled, strict=True):
                assert torch.allclose(a, b, atol=1e-10)
            of_gradient = sweeps.push(*(2 * p.detach() for p in pulled))
            ours = of_gradient, *sweeps.back(2 * moved.detach())
        for a, b in zip(ours, theirs, strict=True):
            assert torch.allclose(a, b, rtol=1e-8, atol=1e-8)
