"""The configuration's schema: errors that name the key, defaults that are those of the library."""

import dataclasses

import pytest
import yaml

from facemill import configuration
from facemill.errors import ConfigError
from facemill.imface.config import ExtractionConfig, FitConfig, ModelConfig, TrainConfig
from facemill.imface.figures import FigureConfig
from facemill.mesh.prepare import PrepareSettings
from facemill.mesh.samples import SampleSettings
from facemill.mesh.surface_fit import BaselineConfig
from facemill.metrics.geometry import EvaluateConfig
from facemill.mofanerf.refine_config import (
    RefineEvaluateConfig,
    RefinePairsConfig,
    RefinerConfig,
    RefineTrainConfig,
)
from facemill.nfs import config as nfs_config
from facemill.nfs.operators import MeshSettings
from facemill.nfs.people import DataConfig
from facemill.render.views import ViewSettings
from facemill.training.settings import from_settings


@pytest.fixture(scope="module")
def schema(repository):
    return configuration.load_schema(repository / "workflow/schemas/config.schema.yaml")


def leaves(schema, where=""):
    """(dotted key, its part of the schema) for every key that holds no table."""
    for key, part in schema.get("properties", {}).items():
        name = f"{where}.{key}" if where else key
        if "properties" in part:
            yield from leaves(part, name)
        else:
            yield name, part


def tables(schema):
    """Every part of the schema that holds keys."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for part in schema.values():
            yield from tables(part)


def message(config, schema) -> str:
    with pytest.raises(ConfigError) as caught:
        configuration.checked(config, schema)
    return str(caught.value)


def test_every_key_has_a_sentence_a_type_and_a_default(schema):
    for name, part in leaves(schema):
        assert part["description"].endswith("."), name
        assert "default" in part, name
        assert configuration.allowed(part), name


def test_unknown_keys_are_refused_at_every_depth(schema):
    assert all(table["additionalProperties"] is False for table in tables(schema))


def test_numbers_have_a_range(schema):
    free = [
        name
        for name, part in leaves(schema)
        if {"integer", "number"} & set(configuration.types(part))
        and not {"minimum", "exclusiveMinimum"} & set(part)
    ]
    assert free == []


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            {"imface": {"trian": {}}},
            "config: imface.trian is unknown; did you mean imface.train?",
        ),
        ({"poeple": 3}, "config: poeple is unknown; did you mean people?"),
        (
            {"imface": {"train": {"steps": 0}}},
            "config: imface.train.steps is 0; expected a whole number from 1, or null",
        ),
        (
            {"mesh": {"crop_radius": 1000}},
            "config: mesh.crop_radius is 1000; expected a number from 50 up to 200",
        ),
        ({"seed": "ten"}, 'config: seed is "ten"; expected a whole number from 0'),
        ({"seed": True}, "config: seed is true; expected a whole number from 0"),
        ({"split": 3}, "config: split is 3; expected a table of keys"),
        (
            {"imface": {"variants": {"a": {"model": {"warp": "trans"}}}}},
            'config: imface.variants.a.model.warp is "trans"; did you mean translation?',
        ),
        (
            {"imface": {"variants": {"Big One": {}}}},
            "config: imface.variants.Big One is no fit name; use a-z, 0-9 and _",
        ),
        (
            {"imface": {"train": {"learning_rate": "1e-3"}}},
            'config: imface.train.learning_rate is "1e-3" (YAML reads this as text; write a point, '
            "as in 1.0e-3); expected a number above 0",
        ),
    ],
)
def test_a_wrong_key_is_named_with_what_is_allowed(schema, config, expected):
    assert message(config, schema) == expected


def test_all_wrong_keys_are_named_at_once(schema):
    assert len(message({"seed": -1, "poeple": 2}, schema).splitlines()) == 2


def test_absent_keys_get_their_defaults(schema):
    config = configuration.checked({"sdf": {"surface_points": 500}}, schema)
    published = {"free_points": 15000, "near_share": 0.0, "near_distance": 40.0}
    published |= {"feature_share": 0.0, "feature_distance": 12.0}
    assert config["sdf"] == {"surface_points": 500, **published}
    assert config["imface"]["train"]["batch_scans"] == 72


def test_whole_numbers_written_with_a_point_become_whole(schema):
    config = configuration.checked({"imface": {"train": {"steps": 500.0}}}, schema)
    assert isinstance(config["imface"]["train"]["steps"], int)


def test_text_from_the_command_line_becomes_what_it_stands_for(schema):
    given = {
        "people": "7",
        "split": {"test_people": "2"},
        "imface": {"fit": {"landmarks": "false"}},
    }
    config = configuration.checked(given, schema)
    assert (config["people"], config["split"]["test_people"]) == (7, 2)
    assert config["imface"]["fit"]["landmarks"] is False
    assert configuration.checked({"split": {"test_people": "imface"}}, schema)["split"]


def test_text_below_names_of_the_user_s_choice_becomes_numbers_and_nothing_is_added(schema):
    config = {
        "retarget": {"gains": {"jawOpen": "1.3"}},
        "nfs": {"variants": {"no_br": {"train": {"weights": {"generic": "0"}}}, "new2": "null"}},
    }
    found = configuration.checked(config, schema)
    assert found["retarget"]["gains"] == {"jawOpen": 1.3}
    assert found["nfs"]["variants"] == {
        "no_br": {"train": {"weights": {"generic": 0}}},
        "new2": None,
    }


def test_the_given_configuration_is_left_alone(schema):
    given = {"sdf": {"surface_points": 500}}
    configuration.checked(given, schema)
    assert given == {"sdf": {"surface_points": 500}}


def plain(value):
    """Dataclasses and tuples as a configuration file would hold them."""
    if dataclasses.is_dataclass(value):
        return {key: plain(part) for key, part in vars(value).items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value


@pytest.mark.parametrize(
    ("key", "cls"),
    [
        ("imface.model", ModelConfig),
        ("imface.train", TrainConfig),
        ("imface.fit", FitConfig),
        ("imface.extraction", ExtractionConfig),
        ("imface.figures", FigureConfig),
        ("evaluate", EvaluateConfig),
        ("mofanerf.refine.model", RefinerConfig),
        ("mofanerf.refine.train", RefineTrainConfig),
        ("mofanerf.refine.pairs", RefinePairsConfig),
        ("mofanerf.refine.evaluate", RefineEvaluateConfig),
        ("nfs.model", nfs_config.ModelConfig),
        ("nfs.train", nfs_config.TrainConfig),
        ("nfs.data", DataConfig),
        ("nfs.operators", MeshSettings),
    ],
)
def test_defaults_are_those_of_the_library(schema, key, cls):
    config = configuration.checked({}, schema)
    for part in key.split("."):
        config = config[part]
    expected = plain(cls())
    expected.pop("seed", None)  # the one seed stands at the top
    assert config == expected


@pytest.mark.parametrize(
    ("key", "cls"),
    [
        ("mesh", PrepareSettings),
        ("sdf", SampleSettings),
        ("baselines", BaselineConfig),
        ("views", ViewSettings),
    ],
)
def test_defaults_of_these_tables_are_among_the_library_s(schema, key, cls):
    config = configuration.checked({}, schema)[key]
    known = plain(cls())
    for name in config.keys() & known.keys() - {"expressions", "components"}:
        assert config[name] == known[name], name
    assert config.keys() - known.keys() <= {"people"}


def test_a_variant_lies_over_the_system_s_settings(schema):
    config = configuration.checked(
        {"imface": {"variants": {"se3": None, "flat": {"model": {"warp": "translation"}}}}}, schema
    )
    variants = configuration.variants(config["imface"])
    assert list(variants) == ["flat"]
    model = from_settings(ModelConfig, variants["flat"]["model"], "imface.model")
    assert model == ModelConfig(warp="translation")


def test_no_variant_at_all_is_an_error(schema):
    config = configuration.checked({"imface": {"variants": {"se3": None}}}, schema)
    with pytest.raises(ConfigError, match="all variants are null"):
        configuration.variants(config["imface"])


def test_ablations_lie_over_the_first_variant(schema):
    given = {
        "variants": {"flat": {"model": {"warp": "translation"}}, "se3": {}},
        "ablations": {"plain": {"model": {"blend": "none"}}, "gone": None},
    }
    system = configuration.checked({"imface": given}, schema)["imface"]
    found = configuration.ablations(system)
    assert list(found) == ["plain"]
    assert (found["plain"]["model"]["warp"], found["plain"]["model"]["blend"]) == (
        "translation", "none"
    )  # fmt: skip
    with pytest.raises(ConfigError, match="se3 is a variant and an ablation"):
        configuration.ablations(system | {"ablations": {"se3": {}}})


def test_people_are_chosen_by_count_or_name():
    people = ["d001", "d002", "d003"]
    assert configuration.chosen(people, None, "views.people") == people
    assert configuration.chosen(people, 2, "views.people") == ["d001", "d002"]
    assert configuration.chosen(people, ["d003"], "views.people") == ["d003"]
    with pytest.raises(ConfigError, match=r"views\.people names d004"):
        configuration.chosen(people, ["d004"], "views.people")


@pytest.mark.parametrize("preset", ["smoke", "ict", "facescape", "nfs_paper"])
def test_presets_fit_the_schema(schema, repository, preset):
    base = yaml.safe_load((repository / "config.yaml").read_text())
    over = yaml.safe_load((repository / "config" / f"{preset}.yaml").read_text())
    configuration.checked(configuration.merged(base, over), schema)


def test_the_nfs_preset_is_the_published_network(schema, repository):
    base = yaml.safe_load((repository / "config.yaml").read_text())
    over = yaml.safe_load((repository / "config/nfs_paper.yaml").read_text())
    config = configuration.checked(configuration.merged(base, over), schema)["nfs"]
    for key, cls in (("model", nfs_config.ModelConfig), ("data", DataConfig)):
        own = {name: value for name, value in config[key].items() if name != "demo_modes"}
        published = {name: value for name, value in plain(cls()).items() if name in own}
        assert own == published
    train = from_settings(nfs_config.TrainConfig, config["train"], "nfs.train")
    assert (train.batch, train.learning_rate, train.decay) == (8, 1e-4, 1.0)


def test_the_full_preset_is_the_published_model(schema, repository):
    base = yaml.safe_load((repository / "config.yaml").read_text())
    over = yaml.safe_load((repository / "config/facescape.yaml").read_text())
    config = configuration.checked(configuration.merged(base, over), schema)
    published = configuration.checked({}, schema)
    for part in ("model", "train", "fit", "extraction"):
        assert config["imface"][part] == published["imface"][part], part
    assert config["sdf"] == published["sdf"]


def test_the_default_configuration_shows_every_key(schema, repository):
    config = yaml.safe_load((repository / "config.yaml").read_text())
    for name, _ in leaves(schema):
        place = config
        for part in name.split("."):
            assert part in place, f"config.yaml does not show {name}"
            place = place[part]


def test_the_page_of_keys_is_current(schema, repository):
    page = (repository / "docs/configuration.md").read_text(encoding="utf-8")
    assert page == configuration.as_page(schema), "run: make docs"
