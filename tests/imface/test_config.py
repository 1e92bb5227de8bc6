"""Defaults are the published values; whatever is not known or not possible is refused by name."""

import pytest

from facemill.errors import ConfigError
from facemill.imface.config import ModelConfig, TrainSettings
from facemill.training.settings import from_settings, to_settings


def test_settings_round_trip():
    settings = {"model": {"warp": "translation", "anchors": [30, 36]}, "train": {"steps": 5}}
    config = from_settings(TrainSettings, settings, "imface")
    assert config.model.anchors == (30, 36)
    assert from_settings(TrainSettings, to_settings(config), "imface") == config


def test_numbers_that_are_whole_serve_as_integers():
    config = from_settings(TrainSettings, {"train": {"steps": 1000.0, "epochs": 3}}, "imface")
    assert config.train.steps == 1000 and isinstance(config.train.steps, int)
    assert isinstance(config.train.epochs, float)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"model": {"widht": 64}}, r"imface\.model\.widht: unknown key; did you mean 'width'"),
        ({"train": {"weights": {"normals": 1}}}, r"train\.weights\.normals.*'normal'"),
        ({"model": {"warp": "se4"}}, r"model\.warp: found 'se4', .* did you mean 'se3'"),
        ({"model": {"width": 0}}, r"model\.width: found 0, expected a whole number of at least 1"),
        ({"model": {"width": 1.5}}, r"model\.width: found 1.5, expected int"),
        ({"model": {"width": True}}, r"model\.width: found True, expected int"),
        ({"model": {"anchors": [1, 99]}}, r"model\.anchors: .*0 to 67"),
        ({"model": {"anchors": [1, 1]}}, r"model\.anchors: .*twice"),
        ({"train": {"learning_rate": "1e-3"}}, r"train\.learning_rate: found '1e-3'"),
        ({"train": {"weights": {"sdf": -1}}}, r"train\.weights\.sdf: found -1"),
        ({"train": {"decay_start": 2}}, r"train\.decay_start: found 2"),
        ({"train": 3}, r"imface\.train: found 3, expected a group of keys"),
    ],
)
def test_bad_settings_name_the_key_and_the_way_out(settings, message):
    with pytest.raises(ConfigError, match=message):
        from_settings(TrainSettings, settings, "imface")


def test_published_model_is_the_default():
    config = ModelConfig()
    assert (config.identity_dim, config.expression_dim, config.width) == (128, 128, 128)
    assert config.anchors == (36, 45, 30, 48, 54) and config.omega == 30
