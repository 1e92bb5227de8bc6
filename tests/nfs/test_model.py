"""NFS's networks: published sizes, what they do not depend on, the zero code, decoders, files."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_nfs import SMALL, made

from facemill.errors import ConfigError, DataError
from facemill.mesh.operators import read_operators
from facemill.mesh.poisson import jacobians
from facemill.mesh.surface import Mesh
from facemill.nfs import decoding
from facemill.nfs.config import ModelConfig
from facemill.nfs.model import NFS, Decoder, load_model, save_model
from facemill.nfs.surface import solved, spans, surface_of, vertex_normals


@pytest.fixture(scope="module")
def operators(people):
    return read_operators(people / "train000-narrow.npz")


@pytest.fixture(scope="module")
def surface(operators):
    return surface_of(operators, poisson=True)


def count(module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_published_numbers_of_weights():
    with torch.device("meta"):
        model = NFS(ModelConfig())
    assert count(model.picture) == 538_432
    assert count(model.identity) == count(model.expression) == 1_906_560
    assert count(model.skinning) == 1_878_804
    assert count(model.decoder) + count(model.gates) == 600_835
    assert count(model) == 6_831_191


@pytest.mark.parametrize("design", ["new2", "new1", "nfr"])
@pytest.mark.parametrize("decoder", ["disp", "vert", "jacobian"])
def test_designs_and_decoders_move_the_target(surface, design, decoder):
    model = made(replace(SMALL, design=design, decoder=decoder))
    target = model.target(surface)
    frames = surface.vertices + 0.01 * torch.randn(2, *surface.vertices.shape)
    codes = model.codes(target, frames)
    moved = model.decode(target, codes)
    assert codes.shape == (2, 24) and moved.shape == frames.shape
    assert torch.isfinite(moved).all() and not torch.equal(moved[0], surface.vertices)
    assert (target.gates is None) == (design == "nfr")
    moved.square().sum().backward()
    assert model.decoder.last.weight.grad.abs().sum() > 0


def test_the_target_s_share_of_the_first_layer_is_that_of_the_whole_input():
    torch.manual_seed(1)
    decoder = Decoder(SMALL, 3)
    features, identity, local = torch.randn(9, 14), torch.randn(8), torch.randn(2, 9, 24)
    whole = torch.cat([features.expand(2, -1, -1), local, identity.expand(2, 9, -1)], dim=-1)
    x = torch.relu(decoder.norms[0](decoder.layers[0](whole)))
    for layer, norm in zip(decoder.layers[1:], decoder.norms[1:], strict=True):
        x = torch.relu(norm(layer(x)))
    found = decoder(decoder.of_target(features, identity), local)
    torch.testing.assert_close(found, decoder.last(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("design", ["new2", "nfr"])
@pytest.mark.parametrize("norm", ["group", "layer"])
def test_frames_without_a_history_have_the_same_numbers(design, norm):
    """Block by block, the last block smaller; group norm's sums run over all of them."""
    torch.manual_seed(2)
    decoder = Decoder(replace(SMALL, design=design, norm=norm, groups=8), 3)
    for parameter in decoder.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    target = 2 + torch.randn(2 * decoding.BLOCK + 100, SMALL.width)
    gates = torch.randn(len(target), SMALL.code) if design == "new2" else None
    codes = torch.randn(3, SMALL.code)
    plain = decoder.frames(target, gates, codes).detach()
    with torch.no_grad():
        found = decoder.frames(target, gates, codes)
        assert decoder.frames(target, gates, codes[:0]).shape == (0, *found.shape[1:])
    assert plain.std() > 0.1
    assert torch.allclose(found, plain, atol=2e-5)


@pytest.mark.parametrize("decoder", ["disp", "jacobian"])
def test_anchored_neutral_in_is_neutral_out_exactly(surface, decoder):
    model = made(replace(SMALL, anchored=True, offsets=True, decoder=decoder))
    target = model.target(surface)
    codes = model.codes(target, surface.vertices[None].clone())
    assert torch.equal(codes, torch.zeros_like(codes))
    moved = model.decode(target, codes)[0]
    torch.testing.assert_close(
        moved, surface.vertices, atol=0 if decoder == "disp" else 1e-6, rtol=0
    )


def test_codes_and_faces_do_not_depend_on_vertex_numbers(operators):
    from facemill.mesh.operators import OperatorSettings
    from facemill.mesh.operators_build import build_operators

    model = made(SMALL)
    settings = OperatorSettings(eigenfunctions=16, picture_size=16)
    mesh = operators.mesh
    order = np.random.default_rng(0).permutation(len(mesh.vertices))
    place = np.argsort(order)
    shuffled = build_operators(
        Mesh(mesh.vertices[order], place[mesh.faces]), settings, "shuffled", weld=False
    )
    one, other = surface_of(operators), surface_of(shuffled)
    code = torch.randn(1, 24)
    first, second = model.target(one), model.target(other)
    torch.testing.assert_close(second.identity, first.identity, atol=1e-5, rtol=1e-4)
    found = model.decode(second, code)[0, torch.from_numpy(place)]
    torch.testing.assert_close(found, model.decode(first, code)[0], atol=1e-5, rtol=1e-4)


def test_layer_norm_leaves_a_vertex_alone_where_group_norm_does_not():
    features, local = torch.randn(8, 14), torch.randn(1, 8, 24)
    identity = torch.randn(8)
    for norm, alone in (("layer", True), ("group", False)):
        torch.manual_seed(0)
        decoder = Decoder(replace(SMALL, norm=norm, groups=4), 3)
        shared = decoder.of_target(features, identity)
        whole = decoder(shared, local)[0, :4]
        part = decoder(shared[:4], local[:, :4])[0]
        assert torch.allclose(whole, part, atol=1e-5) == alone


def test_spans_give_the_same_jacobians_as_the_plain_way(operators):
    moved = operators.mesh.vertices * [1.1, 0.9, 1.0] + 0.05 * np.sin(4 * operators.mesh.vertices)
    faces = torch.from_numpy(operators.faces.astype(np.int64))
    rest, new = (
        spans(torch.from_numpy(v)[None], faces)[0] for v in (operators.mesh.vertices, moved)
    )
    plain = jacobians(operators.mesh, moved)
    np.testing.assert_allclose((new @ torch.linalg.inv(rest)).numpy(), plain, atol=1e-6)


def test_normals_agree_with_the_operators(operators):
    from facemill.mesh.gradients import plain_vertex_normals

    vertices = torch.from_numpy(operators.mesh.vertices)[None]
    found = vertex_normals(vertices, torch.from_numpy(operators.faces.astype(np.int64)))[0]
    np.testing.assert_allclose(found.numpy(), plain_vertex_normals(operators.mesh), atol=1e-9)


def test_the_poisson_solve_has_the_gradient_of_finite_differences(surface):
    torch.manual_seed(0)
    f = len(surface.faces)
    jac = (torch.eye(3) + 0.1 * torch.randn(1, f, 3, 3)).double().requires_grad_()
    weight = torch.randn(len(surface.vertices), 3).double()
    (gradient,) = torch.autograd.grad((solved(surface, jac)[0] * weight).sum(), jac)
    step = torch.randn_like(jac)
    with torch.no_grad():
        up, down = (
            (solved(surface, jac + sign * 1e-3 * step)[0] * weight).sum() for sign in (1, -1)
        )
    assert (gradient * step).sum().item() == pytest.approx(((up - down) / 2e-3).item(), rel=1e-5)


def test_models_come_back_from_their_file(surface, tmp_path):
    model = made(SMALL)
    save_model(tmp_path / "model.safetensors", model, ("jawOpen",), {"people": ["train000"]})
    back, metadata = load_model(tmp_path / "model.safetensors")
    assert metadata["units"] == ["jawOpen"] and back.config == SMALL
    code = torch.randn(1, 24)
    assert torch.equal(
        back.decode(back.target(surface), code), model.decode(model.target(surface), code)
    )
    with pytest.raises(DataError, match="no such file"):
        load_model(tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("key", "value"),
    [("units", 500), ("picture_size", 100), ("groups", 7), ("dropout", 1.0), ("modes", 200)],
)
def test_settings_out_of_range_name_their_key(key, value):
    with pytest.raises(ConfigError, match=key):
        replace(ModelConfig(), **{key: value})
