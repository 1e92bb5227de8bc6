"""DiffusionNet: closed forms of its parts, independence of numbering and of tangent frames."""

import numpy as np
import pytest
import torch

from facemill.mesh.operators import OperatorSettings
from facemill.mesh.operators_build import build_operators
from facemill.mesh.surface import Mesh
from facemill.nets.diffusion import DiffusionBlock, DiffusionNet, SparseProduct, mass_mean
from facemill.nfs.surface import surface_of


def bumpy(n: int = 12) -> Mesh:
    axis = np.linspace(-0.5, 0.5, n)
    x, y = (part.ravel() for part in np.meshgrid(axis, axis, indexing="ij"))
    i = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).ravel()
    faces = np.concatenate([np.stack([i, i + n, i + n + 1], 1), np.stack([i, i + n + 1, i + 1], 1)])
    return Mesh(np.stack([x, y, 0.2 * np.sin(5 * x) * np.cos(3 * y) + 0.1 * x], axis=1), faces)


SETTINGS = OperatorSettings(eigenfunctions=20, picture_size=16)


@pytest.fixture(scope="module")
def surface():
    return surface_of(build_operators(bumpy(), SETTINGS, "bumpy"))


@pytest.fixture(scope="module")
def net() -> DiffusionNet:
    torch.manual_seed(0)
    net = DiffusionNet(3, 5, width=8, blocks=2, dropout=0.0)
    for block in net.blocks:
        block.time.data.uniform_(0.0, 0.1)
    return net


def test_published_number_of_weights():
    def count(net):
        return sum(p.numel() for p in net.parameters())

    assert count(DiffusionNet(134, 128)) == 1_906_560
    assert count(DiffusionNet(134, 20)) == 1_878_804


def test_diffusion_damps_each_eigenfunction_by_its_eigenvalue(surface):
    block = DiffusionBlock(2, 0.0)
    block.time.data[:] = torch.tensor([0.0, 0.03])
    phi, value = surface.operators.eigenvectors[:, 7], surface.operators.eigenvalues[7]
    found = block.diffused(torch.stack([phi, phi], dim=-1)[None], surface.operators)[0]
    torch.testing.assert_close(found[:, 0], phi, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[:, 1], phi * torch.exp(-0.03 * value), atol=1e-4, rtol=1e-4)


def test_sparse_product_and_its_gradient_are_the_dense_ones(surface):
    own = surface.operators
    x = torch.randn(len(own.mass), 4, requires_grad=True)
    found = SparseProduct.apply(own.gradients, own.transposed, x)
    dense = own.gradients.to_dense()
    torch.testing.assert_close(found, dense @ x, atol=1e-4, rtol=1e-4)
    weight = torch.randn_like(found)
    (gradient,) = torch.autograd.grad((found * weight).sum(), x)
    torch.testing.assert_close(gradient, dense.T @ weight, atol=1e-3, rtol=1e-4)


def test_frames_in_a_batch_do_not_mix(surface, net):
    x = torch.randn(3, len(surface.vertices), 3)
    together = net(x, surface.operators)
    alone = torch.cat([net(one[None], surface.operators) for one in x])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_outputs_do_not_depend_on_vertex_numbers(surface, net):
    mesh = bumpy()
    order = np.random.default_rng(1).permutation(len(mesh.vertices))
    place = np.argsort(order)
    shuffled = surface_of(
        build_operators(Mesh(mesh.vertices[order], place[mesh.faces]), SETTINGS, "shuffled")
    )
    first = net(surface.vertices[None], surface.operators)[0]
    second = net(shuffled.vertices[None], shuffled.operators)[0]
    torch.testing.assert_close(second[place], first, atol=1e-4, rtol=1e-4)


def test_gradient_features_do_not_depend_on_the_tangent_frames(surface):
    block = DiffusionBlock(3, 0.0)
    own, v = surface.operators, len(surface.vertices)
    x = torch.randn(1, v, 3)
    dense = own.gradients.to_dense()
    angle = torch.rand(v)[:, None] * 6.28
    east, north = dense[:v], dense[v:]
    turned = torch.cat(
        [angle.cos() * east - angle.sin() * north, angle.sin() * east + angle.cos() * north]
    )
    from dataclasses import replace

    other = replace(own, gradients=turned.to_sparse_csr(), transposed=turned.T.to_sparse_csr())
    torch.testing.assert_close(
        block.gradient_features(x, other), block.gradient_features(x, own), atol=1e-4, rtol=1e-3
    )


def test_the_mean_is_weighted_by_mass():
    x = torch.tensor([[[1.0], [4.0]]])
    assert mass_mean(x, torch.tensor([3.0, 1.0])).item() == pytest.approx(1.75)
