"""Models without a part: what holds in each mode, and the table that compares them."""

import numpy as np
import pytest
import torch
from made_up_people import MODEL, TRAIN

from facemill.errors import ConfigError, DataError
from facemill.metrics.bootstrap import read_intervals
from facemill.metrics.scores import write_records
from facemill.mofanerf.ablation import ablation_table
from facemill.mofanerf.config import ModelConfig
from facemill.mofanerf.evaluate import evaluate
from facemill.mofanerf.faces import Faces
from facemill.mofanerf.model import MoFaNeRF, load_model, parameter_counts, save_model
from facemill.mofanerf.table import COLUMNS, PAIRS, SEEN, UNSEEN, ImageScore
from facemill.mofanerf.train import train
from facemill.training.weights import read_weights, write_weights

MODES = {
    "one_hot": {"expression_codes": "one_hot"},
    "no_modulation": {"modulation": False},
    "free": {"appearance": "free"},
}
ALL = {key: value for mode in MODES.values() for key, value in mode.items()}
SIZES = {
    "fast": MODEL,
    "faithful": {"profile": "faithful", "coarse_width": 16, "fine_width": 24},
}
PEOPLE = ["p", "q", "r"]


def made(profile: str = "fast", **mode) -> MoFaNeRF:
    torch.manual_seed(0)
    model = MoFaNeRF(ModelConfig(**SIZES[profile], **mode), 4, len(PEOPLE))
    if profile == "fast":  # a warp that moves nothing would hide what depends on it
        torch.nn.init.normal_(model.fine.warp.head.weight, std=0.1)
    else:  # nor would a density of 0 everywhere
        torch.nn.init.constant_(model.fine.density.bias, 100.0)
    return model


@pytest.mark.parametrize("profile", ["fast", "faithful"])
@pytest.mark.parametrize("mode", [*MODES, "all"])
def test_conditioning_laws_hold_in_every_mode(profile, mode):
    """Neither appearance nor view reaches the density; shape and expression do."""
    model = made(profile, **MODES.get(mode, ALL))
    points, view, shape = torch.randn(2, 3, 5, 3), torch.randn(2, 3, 3), torch.randn(2, 50)
    expression = model.expression(torch.tensor([1, 3])).detach().clone()
    textures = torch.rand(2, 3, model.config.texture_size, model.config.texture_size)
    appearance = model.appearance_of(torch.tensor([0, 2]), textures).detach().clone()
    inputs = [x.requires_grad_() for x in (view, appearance, shape, expression)]
    density, colour = model.field(points, view, model.condition(shape, expression, appearance))
    none = torch.autograd.grad(density.sum(), inputs[:2], allow_unused=True, retain_graph=True)
    assert all(g is None or (g == 0).all() for g in none)
    some = torch.autograd.grad(density.sum(), inputs[2:], retain_graph=True)
    some += torch.autograd.grad(colour.sum(), inputs[:2])
    assert all(g.abs().sum() > 0 for g in some)


def test_without_modulation_a_code_is_the_same_for_everybody():
    expression = torch.rand(2, 30)
    shape = torch.randn(2, 50)
    assert torch.equal(made(modulation=False).modulated(shape, expression), expression)
    assert not torch.equal(made().modulated(shape, expression), expression)


def test_one_hot_codes_are_the_identity_and_not_learned():
    model = made(expression_codes="one_hot")
    assert torch.equal(model.expression(torch.tensor([0, 2])), torch.eye(4, 30)[[0, 2]])
    assert "expression_codes" not in dict(model.named_parameters())
    with pytest.raises(ConfigError, match="expression_dim: found 3, expected at least 4"):
        MoFaNeRF(ModelConfig(**MODEL, expression_dim=3, expression_codes="one_hot"), 4)


def test_free_appearance_is_the_person_s_own_or_the_mean_whatever_the_texture():
    model = made(appearance="free")
    rows, textures = torch.tensor([2, -1]), torch.rand(2, 3, 16, 16)
    own, mean = model.appearance_of(rows, textures)
    assert torch.equal(own, model.appearance_codes[2])
    torch.testing.assert_close(mean, model.appearance_codes.mean(dim=0))
    assert torch.equal(model.appearance_of(rows, 1 - textures)[0], own)
    with pytest.raises(ConfigError, match="no network reads textures"):
        model.appearance(textures)
    with pytest.raises(ConfigError, match="found no people"):
        MoFaNeRF(ModelConfig(**MODEL, appearance="free"), 4)


def test_each_part_that_is_left_out_takes_its_numbers_with_it():
    full = parameter_counts(made("faithful"))
    for mode, part in [("one_hot", "expression_codes"), ("no_modulation", "modulation")]:
        without = {key: value for key, value in full.items() if key != part}
        assert parameter_counts(made("faithful", **MODES[mode])) == without
    free = parameter_counts(made("faithful", appearance="free"))
    assert free.pop("appearance_codes") == len(PEOPLE) * 256
    assert free == {key: value for key, value in full.items() if key != "texture"}


@pytest.mark.parametrize("mode", MODES)
def test_weights_remember_their_mode_and_those_of_another_are_refused(mode, tmp_path):
    path, other = tmp_path / "model.safetensors", tmp_path / "other.safetensors"
    model = made(**MODES[mode])
    save_model(path, model, list("abcd"), "0" * 64, {"people": PEOPLE})
    back, metadata = load_model(path)
    assert back.config == model.config
    codes = torch.arange(3)
    assert torch.equal(back.expression(codes), model.expression(codes))
    if mode == "free":
        with pytest.raises(ConfigError, match="0 people are named, the model has 3"):
            save_model(other, model, list("abcd"), "0" * 64)
    key = next(iter(MODES[mode]))
    metadata["config"][key] = getattr(ModelConfig(), key)
    write_weights(other, model, metadata)
    with pytest.raises(DataError, match="weights do not fit their own config"):
        load_model(other)
    save_model(other, made(), list("abcd"), "0" * 64, {"people": PEOPLE})
    tensors = read_weights(other, metadata["format"], "", "")[1]
    with pytest.raises(RuntimeError, match="Error"):
        model.load_state_dict(tensors)


@pytest.fixture(scope="module")
def trained_without(rendered, trained, tmp_path_factory):
    """Score files of the small model, and of one without all three parts after a short training."""
    folder = tmp_path_factory.mktemp("ablation")
    model = folder / "model.safetensors"
    settings = {"model": MODEL | ALL, "train": TRAIN | {"preview_every": 20}}
    files = (rendered.codes, rendered.split, rendered.views)
    train(*files, settings, folder / "work", model, folder / "h.csv", folder / "r.json", threads=1)
    shown = {"people": 2, "views": 1, "reference_samples": 0, "device": "cpu"}
    paths = [folder / "full.csv", folder / "bare.csv"]
    evaluate(trained, *files, "full", shown, paths[0], with_baselines=False)
    evaluate(model, *files, "bare", shown, paths[1], with_baselines=False)
    return model, paths


def test_unseen_people_have_the_mean_of_the_free_codes(trained_without, rendered):
    faces = Faces(trained_without[0], rendered.codes, torch.device("cpu"))
    codes = faces.model.appearance_codes
    assert codes.shape == (len(rendered.data.train), 256)
    torch.testing.assert_close(faces.appearance(rendered.data.train[1])[0], codes[1].detach())
    unseen = [faces.appearance(person)[0] for person in rendered.data.test]
    for code in unseen:
        torch.testing.assert_close(code, codes.detach().mean(dim=0))


def test_training_without_parts_goes_into_the_table(trained_without, tmp_path):
    out = tmp_path / "ablation.csv"
    rows = ablation_table(["full", "bare"], trained_without[1], out, draws=200)
    assert [r.split for r in rows] == [SEEN] * 3 + [PAIRS] * 3 + [UNSEEN] * 3
    for full, bare, less in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
        assert (full.method, bare.method, less.method) == ("full", "bare", "full - bare")
        assert less.value == pytest.approx(full.value - bare.value)
        assert less.low <= less.value <= less.high
    assert len(read_intervals(out)) == 9


def scores(path, method: str, values: dict[tuple[str, str], float]):
    rows = [
        ImageScore("mofanerf", m, UNSEEN, person, "1_neutral", view, "psnr_masked", "dB", value)
        for (person, view), value in values.items()
        for m in (method, "mean_face")
    ]
    write_records(path, COLUMNS, rows)
    return path


def test_what_is_hard_for_both_drops_out_of_the_difference(tmp_path):
    """People differ by 10 dB, the models by 1 dB everywhere but for 0.2 dB."""
    rng = np.random.default_rng(0)
    images = [(f"p{person}", f"0_{view}") for person in range(8) for view in range(2)]
    full = {image: 20 + rng.uniform(0, 10) for image in images}
    less = {image: value - 1 + rng.uniform(-0.2, 0.2) for image, value in full.items()}
    paths = [scores(tmp_path / "a.csv", "a", full), scores(tmp_path / "b.csv", "b", less)]
    a, b, difference = ablation_table(["a", "b"], paths, tmp_path / "out.csv")
    assert a.high - a.low > 2 and b.high - b.low > 2
    assert 0.8 < difference.low < difference.value < difference.high < 1.2
    assert (difference.n, difference.unit, difference.metric) == (8, "dB", "psnr_masked")
    again = ablation_table(["a", "b"], paths, tmp_path / "out.csv")
    assert again == [a, b, difference]


def test_scores_that_cannot_be_compared_are_refused(tmp_path):
    full = {("p", "0_0"): 20.0, ("q", "0_1"): 21.0}
    a = scores(tmp_path / "a.csv", "a", full)
    b = scores(tmp_path / "b.csv", "b", {("p", "0_0"): 19.0})
    out = tmp_path / "out.csv"
    with pytest.raises(DataError, match=r"b\.csv: other images than .*a\.csv.* q, 1_neutral 0_1"):
        ablation_table(["a", "b"], [a, b], out)
    with pytest.raises(DataError, match=r"b\.csv: no psnr_masked of c"):
        ablation_table(["a", "c"], [a, b], out)
    with pytest.raises(ConfigError, match="2 score files for 1 methods"):
        ablation_table(["a"], [a, b], out)
    assert not out.exists()
