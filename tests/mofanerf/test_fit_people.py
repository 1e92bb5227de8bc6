"""Held-out people from one image each: files, scores, pictures, and what is refused."""

import json

import numpy as np
import pytest
from made_up_people import MODEL
from PIL import Image

from facemill.errors import DataError
from facemill.metrics.images import psnr
from facemill.mofanerf.app_figures import interpolation, random_faces, turntable
from facemill.mofanerf.baselines import over_black
from facemill.mofanerf.fit_figures import fit_figure
from facemill.mofanerf.fit_files import read_fit
from facemill.mofanerf.fit_people import (
    PeopleConfig,
    camera_error,
    disturbed,
    evaluate_fits,
    fit_person,
    given_of,
    mean_codes,
    novel_camera,
    novel_views,
)
from facemill.mofanerf.prior import mean_appearance
from facemill.mofanerf.splits import read_view_split
from facemill.mofanerf.table import COST, ONE_IMAGE
from facemill.render.view_pack import ViewPack
from facemill.training.settings import from_settings

SETTINGS = {
    "novel_views": 2,
    "noise_degrees": 3.0,
    "noise_mm": 8.0,
    "sampling": {"samples": 10},
    "fit": {
        "steps": 120,
        "starts": 2,
        "start_steps": 10,
        "rays": 192,
        "levels": [0.5, 1.0],
        "level_shares": [0.4, 0.6],
        "sampling": {"samples": 10},
        "device": "cpu",
    },
}


@pytest.fixture(scope="module")
def fitted(trained, rendered, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit")
    made = (trained, rendered.codes, rendered.split, rendered.views)
    files = []
    for person in read_view_split(rendered.split).test_people:
        files.append(folder / f"{person}.npz")
        fit_person(*made, person, SETTINGS, files[-1], files[-1].with_suffix(".json"), 1)
    return files


@pytest.fixture(scope="module")
def scores(trained, rendered, fitted):
    out = fitted[0].parent / "scores.csv"
    return evaluate_fits(trained, rendered.codes, rendered.views, fitted, "fast", SETTINGS, out)


def mean(rows, method):
    found = [r.value for r in rows if (r.method, r.metric) == (method, "psnr_masked")]
    assert found
    return float(np.mean(found))


def test_a_fit_beats_the_mean_face_that_it_starts_from(faces, rendered, fitted):
    config = from_settings(PeopleConfig, SETTINGS, "people")
    appearance = mean_appearance(faces)
    for path in fitted:
        report = json.loads(path.with_suffix(".json").read_text())
        with ViewPack(rendered.views / f"{path.stem}.zip") as pack:
            camera = disturbed(pack.camera(report["view"]), path.stem, config)
            image = pack.image(report["expression"], report["view"])
        codes = mean_codes(faces, report["expression"], appearance)
        before = faces.draw(codes, camera, config.sampling).colour.astype(np.float64)
        start = psnr(before, over_black(image).astype(np.float64), image[..., 3] > 0)
        assert report["psnr_masked"] > start


def test_novel_views_after_a_fit_are_no_worse_than_the_mean_codes(scores):
    """All that a model of few texels can tell of people; docs/mofanerf.md has the demo's."""
    assert mean(scores, "fast_fitted") > mean(scores, "fast_mean_codes") - 0.5


def test_all_methods_meet_the_same_views(scores):
    of = {}
    for row in scores:
        if row.metric == "psnr":
            of.setdefault(row.method, set()).add((row.split, row.person, row.expression, row.view))
    assert set(of) == {"fast", "fast_fitted", "fast_mean_codes"}
    assert of["fast"] == of["fast_fitted"] == of["fast_mean_codes"]
    assert {split for split, *_ in of["fast"]} == {ONE_IMAGE}
    assert [row.unit for row in scores if row.split == COST] == ["s"]


def test_reports_tell_what_was_given_and_found(fitted):
    for path in fitted:
        report = json.loads(path.with_suffix(".json").read_text())
        assert report["camera_error_before"]["degrees"] == pytest.approx(3.0)
        assert report["person"] == path.stem and report["view"] and report["expression"]
        assert report["landmark_residual_pixels"] < 5


def test_fits_are_read_back_with_the_weights_they_belong_to(trained, fitted, tmp_path):
    found = read_fit(fitted[0], trained)
    report = json.loads(fitted[0].with_suffix(".json").read_text())
    np.testing.assert_allclose(found.codes.shape, report["shape_code"])
    np.testing.assert_allclose(found.camera.extrinsics, report["camera"]["extrinsics"])
    other = tmp_path / "other.safetensors"
    other.write_bytes(trained.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match="fitted with weights of checksum"):
        read_fit(fitted[0], other)
    np.savez(tmp_path / "no.npz", shape=np.zeros(50))
    with pytest.raises(DataError, match="no fit of MoFaNeRF"):
        read_fit(tmp_path / "no.npz")


def test_killed_in_the_middle_it_ends_with_the_same_file(trained, rendered, tmp_path, killed_at):
    made = (trained, rendered.codes, rendered.split, rendered.views)
    person = read_view_split(rendered.split).test_people[0]
    short = SETTINGS["fit"] | {"steps": 12, "start_steps": 4, "surface_every": 2}
    settings = SETTINGS | {"fit": short}

    def fit(name):
        work, out = tmp_path / "work", tmp_path / f"{name}.npz"
        fit_person(*made, person, settings, out, out.with_suffix(".json"), 1, work)
        assert not work.exists()
        return out.read_bytes()

    whole = fit("whole")
    killed_at(25)
    with pytest.raises(KeyboardInterrupt):
        fit("killed")
    assert list((tmp_path / "work").iterdir()) and not (tmp_path / "killed.npz").exists()
    assert fit("killed") == whole


def test_training_people_are_not_fitted(trained, rendered, tmp_path):
    made = (trained, rendered.codes, rendered.split, rendered.views)
    person = read_view_split(rendered.split).train_people[0]
    with pytest.raises(DataError, match=f"{person} is not held out"):
        fit_person(*made, person, SETTINGS, tmp_path / "f.npz", tmp_path / "f.json")


def test_codes_and_weights_that_are_not_of_one_run_are_refused(trained, rendered, tmp_path):
    other = tmp_path / "codes.npz"
    with np.load(rendered.codes) as arrays:
        np.savez(other, **arrays, more=np.zeros(1))
    person = read_view_split(rendered.split).test_people[0]
    out = (tmp_path / "f.npz", tmp_path / "f.json")
    with pytest.raises(DataError, match="trained with codes of checksum"):
        fit_person(trained, other, rendered.split, rendered.views, person, SETTINGS, *out)


def test_weights_of_another_profile_are_refused(trained, rendered, tmp_path):
    """The file says one profile, its weights are of the other."""
    from facemill.mofanerf.config import ModelConfig
    from facemill.mofanerf.model import FORMAT, MoFaNeRF
    from facemill.training.settings import to_settings
    from facemill.training.weights import read_weights, write_weights

    metadata, _ = read_weights(trained, FORMAT, "", "")
    faithful = ModelConfig(profile="faithful", coarse_width=8, fine_width=8)
    forged = tmp_path / "model.safetensors"
    own = MoFaNeRF(ModelConfig(**MODEL), len(metadata["expressions"]))
    write_weights(forged, own, metadata | {"config": to_settings(faithful)})
    with pytest.raises(DataError, match=r"model\.safetensors"):
        random_faces(forged, rendered.codes, {"size": 32}, tmp_path / "r.png")


def test_people_take_turns_in_expressions(rendered):
    split = read_view_split(rendered.split)
    config = from_settings(PeopleConfig, SETTINGS, "people")
    given = []
    for person in split.test_people:
        with ViewPack(rendered.views / f"{person}.zip") as pack:
            given.append(given_of(person, split, pack, config))
            frontal = pack.camera(given[-1].view).extrinsics[2, 2]
            assert all(pack.camera(n).extrinsics[2, 2] >= frontal for n in pack.names)
    assert len({g.expression for g in given}) == len(given)


def test_a_view_that_is_not_there_is_told(rendered):
    split = read_view_split(rendered.split)
    person = split.test_people[0]
    with (
        ViewPack(rendered.views / f"{person}.zip") as pack,
        pytest.raises(DataError, match="no view 7_7; it holds"),
    ):
        given_of(person, split, pack, PeopleConfig(view="7_7"))


def test_the_rig_of_cameras_moves_with_the_fitted_one(rendered):
    person = read_view_split(rendered.split).test_people[0]
    with ViewPack(rendered.views / f"{person}.zip") as pack:
        first, second = (pack.camera(name) for name in pack.names[:2])
    moved = disturbed(first, person, PeopleConfig())
    own = novel_camera(moved, first, second)
    assert camera_error(novel_camera(first, first, second), second)["mm"] < 1e-6
    between = lambda a, b: a.extrinsics[:, :3] @ b.extrinsics[:, :3].T  # noqa: E731
    np.testing.assert_allclose(between(own, moved), between(second, first), atol=1e-9)


def test_novel_views_lie_about_30_degrees_off(rendered):
    person = read_view_split(rendered.split).test_people[0]
    with ViewPack(rendered.views / f"{person}.zip") as pack:
        view = pack.names[3]
        found = novel_views(pack, view, 2)
        axes = {name: pack.camera(name).extrinsics[2, :3] for name in pack.names}
    off = {n: abs(np.degrees(np.arccos(axes[n] @ axes[view])) - 30) for n in axes if n != view}
    assert sorted(off[n] for n in found) == sorted(off.values())[:2]


def test_pictures_are_drawn(trained, rendered, fitted, tmp_path):
    small = {"size": 32, "steps": 2, "frames": 4, "random": {"count": 2}}
    made = (trained, rendered.codes)
    fit_figure(*made, rendered.views, fitted, SETTINGS, tmp_path / "fit.png")
    interpolation(*made, fitted, small, tmp_path / "walk.png")
    random_faces(*made, small, tmp_path / "random.png")
    for name in ("fit", "walk", "random"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert min(picture.size) > 60
    turntable(*made, fitted, small, tmp_path / "turn.gif")
    with Image.open(tmp_path / "turn.gif") as picture:
        assert (picture.n_frames, picture.size) == (4, (32, 32))
        assert picture.info["loop"] == 0
