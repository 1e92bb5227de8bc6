"""The table of MoFaNeRF's inputs that go wrong, each tried by the command that meets it first.

Each ends in one line that names file, person or key, before any result is written. What a photo can
have against it besides stands in test_photo.py and test_fit_photo.py, raw scans in test_align.py.
"""

import json
import shutil
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from made_up_people import CODES, MODEL, TRAIN
from PIL import Image

from facemill.files import read_json, write_json
from facemill.mofanerf.config import ModelConfig
from facemill.mofanerf.demo_photo import write_demo_photo
from facemill.mofanerf.model import FORMAT, MoFaNeRF
from facemill.mofanerf.splits import content_hash, read_view_split
from facemill.training.settings import to_settings
from facemill.training.weights import read_weights, write_weights


@pytest.fixture
def codes_of(rendered, refused, tmp_path):
    """Runs mofanerf_codes on a copy of the people that a test may spoil."""
    folder = tmp_path / "têtes"
    shutil.copytree(rendered.data.folder / "faces", folder / "faces")
    shutil.copy(rendered.data.index, folder / "index.json")

    def attempt(*words: str) -> None:
        refused(
            *words, script="mofanerf_codes", index=folder / "index.json", faces=folder / "faces",
            views=rendered.views, settings=json.dumps(CODES), codes=">codes.npz", split=">s.json",
        )  # fmt: skip

    return folder, attempt


def test_a_person_without_a_texture(rendered, codes_of):
    folder, attempt = codes_of
    person = rendered.data.train[1]
    manifest = folder / "faces" / f"{person}.json"
    content = read_json(manifest)
    content["scans"]["1_neutral"]["texture"] = None
    write_json(manifest, content)
    attempt(f"{person}.json", f"{person} has no texture", "views.people")
    content["scans"]["1_neutral"]["texture"] = str(folder / "weg.png")
    write_json(manifest, content)
    attempt("weg.png: no such file")


def test_a_texture_of_another_shape(rendered, codes_of):
    folder, attempt = codes_of
    Image.new("RGB", (100, 60)).save(folder / "breit.png")
    manifest = folder / "faces" / f"{rendered.data.train[0]}.json"
    content = read_json(manifest)
    content["scans"]["1_neutral"]["texture"] = str(folder / "breit.png")
    write_json(manifest, content)
    attempt("breit.png: 100 x 60 pixels", "square")


def test_an_id_in_two_splits_of_the_index(codes_of):
    folder, attempt = codes_of
    index = read_json(folder / "index.json")
    leaked = index["split"]["test"][0]
    index["split"]["train"].append(leaked)
    write_json(folder / "index.json", index)
    attempt("index.json", leaked)


def train(refused, rendered, *words, codes=None, split=None, views=None) -> None:
    refused(
        *words, script="mofanerf_train", codes=codes or rendered.codes,
        split=split or rendered.split, views=views or rendered.views,
        settings=json.dumps({"model": MODEL, "train": TRAIN}), threads=1, work=">work",
        model=">m.safetensors", history=">h.csv", run=">r.json",
    )  # fmt: skip


def test_an_id_in_two_splits_of_the_views(rendered, refused, tmp_path):
    split = read_view_split(rendered.split)
    leaked = split.test_people[0]
    split = replace(split, train_people=(*split.train_people, leaked))
    write_json(tmp_path / "split.json", asdict(replace(split, hash=content_hash(split))))
    train(refused, rendered, "split.json", leaked, "both", split=tmp_path / "split.json")


def test_an_expression_missing_from_the_views(rendered, refused, tmp_path):
    views = tmp_path / "views"
    shutil.copytree(rendered.views, views)
    split = read_view_split(rendered.split)
    person, expression = next(
        (p, e) for p in split.train_people for e in split.expressions[1:] if split.trains_on(p, e)
    )
    with (
        zipfile.ZipFile(rendered.views / f"{person}.zip") as whole,
        zipfile.ZipFile(views / f"{person}.zip", "w") as part,
    ):
        for member in whole.infolist():
            if not member.filename.startswith(f"{expression}/"):
                part.writestr(member, whole.read(member))
    train(refused, rendered, f"{person}.zip", expression, "views.expressions", views=views)


@pytest.fixture(scope="module")
def photo(rendered, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("Fotos") / "moi à la mer.jpg"
    faces = rendered.data.faces(rendered.data.test[0])
    write_demo_photo(faces, faces.with_suffix(".json"), path)
    return path


def fit(refused, rendered, trained, photo, *words, **more) -> None:
    given = {"model": trained, "codes": rendered.codes, "photo": photo, "out": ">out"} | more
    refused(*words, script="mofanerf_fit_photo", **given)


def test_a_photo_without_landmarks(rendered, refused, trained, photo, tmp_path):
    alone = tmp_path / "allein.jpg"
    shutil.copy(photo, alone)
    words = ("allein.jpg", "no landmarks beside it", "allein.landmarks.txt")
    fit(refused, rendered, trained, alone, *words)


def test_landmarks_outside_the_photo(rendered, refused, trained, photo, tmp_path):
    marks = np.loadtxt(photo.with_name(photo.stem + ".landmarks.txt"))
    marks[8] = (470, 700)
    np.savetxt(tmp_path / "weit.txt", marks)
    words = ("weit.txt", "landmark 8 at (470.0, 700.0)", "480 x 360")
    fit(refused, rendered, trained, photo, *words, landmarks=tmp_path / "weit.txt")


def test_codes_of_another_model(rendered, refused, trained, photo, tmp_path):
    arrays = dict(np.load(rendered.codes))
    np.savez(tmp_path / "andere.npz", **arrays | {"shape/extra": np.zeros(50, np.float32)})
    words = ("model.safetensors", "trained with codes of checksum", "the codes of that run")
    fit(refused, rendered, trained, photo, *words, codes=tmp_path / "andere.npz")


def test_weights_with_a_wrong_checksum(rendered, refused, trained, photo, tmp_path):
    content = bytearray(trained.read_bytes())
    content[-5] ^= 64  # one bit of one weight
    altered = tmp_path / "verdreht.safetensors"
    altered.write_bytes(content)
    fit(refused, rendered, trained, photo, "verdreht.safetensors", "checksum", model=altered)
    altered.write_bytes(trained.read_bytes()[:-100])
    fit(refused, rendered, trained, photo, "verdreht.safetensors", "not a whole", model=altered)


def test_weights_of_another_profile(rendered, refused, trained, photo, tmp_path):
    """The file says one profile, its weights are of the other; and another system's weights."""
    metadata, _ = read_weights(trained, FORMAT, "", "")
    forged = tmp_path / "falsch.safetensors"
    faithful = to_settings(ModelConfig(profile="faithful", coarse_width=8, fine_width=8))
    own = MoFaNeRF(ModelConfig(**MODEL), len(metadata["expressions"]))
    write_weights(forged, own, metadata | {"config": faithful})
    words = ("falsch.safetensors", "do not fit their own config")
    fit(refused, rendered, trained, photo, *words, model=forged)
    write_weights(forged, own, metadata | {"format": "facemill.imface.1"})
    words = ("falsch.safetensors", "facemill.imface.1", FORMAT)
    fit(refused, rendered, trained, photo, *words, model=forged)
