"""The table of NFS's inputs that go wrong, each tried by the command that meets it first.

Each ends in one line that names file or key, before any result is written; what can be made use of
is, and is told. Tables of weights that are no tables stand in test_rig.py, settings in test_uses.py
and test_train.py.
"""

import json
import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from commands import run
from small_nfs import OPERATORS, SMALL, made
from small_nfs_uses import face_of, written

from facemill.mesh.closing import boundary_loops
from facemill.mesh.connectivity import directed_edges
from facemill.mesh.frames import FACE_TO_NFS
from facemill.mesh.io import write_obj
from facemill.mesh.operators import read_operators
from facemill.mesh.surface import Mesh
from facemill.nfs.model import save_model
from facemill.nfs.rig import Weights, write_weights


@pytest.fixture(scope="module")
def face(demo_model) -> Mesh:
    return face_of(demo_model)


def empty(face: Mesh) -> Mesh:
    return Mesh(face.vertices[:0], face.faces[:0])


def points_alone(face: Mesh) -> Mesh:
    return Mesh(face.vertices, face.faces[:0])


def with_a_fin(face: Mesh) -> Mesh:
    """A third face at an edge that has two."""
    edges, count = np.unique(
        np.sort(directed_edges(face.faces), axis=1), axis=0, return_counts=True
    )
    fin = [*edges[count == 2][0], len(face.vertices)]
    vertices = np.concatenate([face.vertices, [face.vertices[fin[0]] + [0.0, 0.0, 20.0]]])
    return Mesh(vertices, np.concatenate([face.faces, [fin]]))


def twice(face: Mesh) -> Mesh:
    vertices = np.concatenate([face.vertices, face.vertices + 200.0])
    return Mesh(vertices, np.concatenate([face.faces, face.faces + len(face.vertices)]))


def with_nan(face: Mesh) -> Mesh:
    return Mesh(np.where(face.vertices > 50.0, np.nan, face.vertices), face.faces)


def itself(face: Mesh) -> Mesh:
    return face


@pytest.fixture
def build(demo_model, people, face, tmp_path):
    """Arguments of operators_build for a mesh file with landmarks of the whole face beside it."""

    def arguments(mesh: Mesh, landmarks: bool = True, **settings) -> dict:
        (path,) = written(tmp_path / "têtes gâtées", {"moi aussi": mesh})
        given = {"mesh": path, "people": people / "people.npz", "out": ">opérateurs.npz"}
        if landmarks:
            marks = tmp_path / "marks.txt"
            np.savetxt(marks, face.vertices[demo_model.landmarks])
            given["landmarks"] = marks
        return given | {"settings": json.dumps(OPERATORS | settings)}

    return arguments


@pytest.mark.parametrize(
    ("spoil", "settings", "words"),
    [
        (empty, {}, "the file is empty"),
        (points_alone, {}, "and 0 faces; a mesh needs both"),
        (with_a_fin, {}, "at 1 edges three faces or more meet"),
        (twice, {}, "2 separate pieces, and the second one holds 50%"),
        (with_nan, {}, "not a finite number"),
        (itself, {"eigenfunctions": 9000}, "have no 9000 eigenfunctions"),
        (itself, {"radius": 2.0}, "no skin lies within nfs.operators.radius = 2 mm"),
    ],
)
def test_meshes_that_cannot_serve(refused, build, face, spoil, settings, words):
    arguments = build(spoil(face), **settings)
    refused("moi aussi.obj: ", words, script="operators_build", **arguments)


def test_a_mesh_of_no_usual_size_without_landmarks(refused, build, face):
    arguments = build(Mesh(face.vertices * 1e-7, face.faces), landmarks=False)
    refused("moi aussi.obj: ", "in no usual unit is a head", script="operators_build", **arguments)


@pytest.fixture
def accepted(repository, capsys, caplog, tmp_path):
    """Runs operators_build, which has to end well; the operators, and the warnings."""

    def attempt(**arguments: object):
        out = tmp_path / "out.npz"
        given = [part for name, value in arguments.items() for part in (f"--{name}", value)]
        given = [out if str(value).startswith(">") else value for value in given]
        status, messages = run(repository, capsys, "operators_build", *given)
        assert status == 0, messages
        told = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
        return read_operators(out), told

    return attempt


def test_a_mesh_in_metres_is_brought_to_size(accepted, build, face):
    found, told = accepted(**build(Mesh(face.vertices / 1000, face.faces), landmarks=False))
    assert told == []
    assert found.placed.scale == pytest.approx(1000 * FACE_TO_NFS.scale, rel=0.02)
    wanted = FACE_TO_NFS.apply(face.vertices)[found.source]
    assert np.sqrt(((found.vertices - wanted) ** 2).sum(axis=1).mean()) < 0.05


def with_lips_joined(face: Mesh, mouth: np.ndarray) -> Mesh:
    """A skin over the opening of the mouth, level with the lips, as scanners make it."""
    loops = boundary_loops(face.faces)
    lips = min(loops, key=lambda loop: np.linalg.norm(face.vertices[loop].mean(axis=0) - mouth))
    vertices = face.vertices.copy()
    vertices[lips, 2] = vertices[lips, 2].max() + 6.0
    fan = [[b, a, len(vertices)] for a, b in pairwise([*lips, lips[0]])]
    vertices = np.concatenate([vertices, vertices[lips].mean(axis=0, keepdims=True)])
    return Mesh(vertices, np.concatenate([face.faces, fan]))


def test_a_closed_mouth_is_told_and_the_mesh_used(accepted, build, face, demo_model):
    """Its brows and cheeks are of use all the same; that lips will not part has to be said."""
    mouth = face.vertices[demo_model.landmarks[60:68]].mean(axis=0)
    found, (told,) = accepted(**build(with_lips_joined(face, mouth)))
    assert "moi aussi.obj: not cut open: mouth. Lips and lids" in told
    assert len(found.vertices) > 3000


# -- meshes cloned and driven ----------------------------------------------------------------------


@pytest.fixture
def own(take, tmp_path):
    """A copy of the take that a test may spoil."""
    return shutil.copytree(take, tmp_path / "prise gâtée")


def clone(own, script="nfs_retarget_one", **changed) -> dict:
    """Arguments of the three commands that use a model."""
    held = {"model": own / "model.safetensors", "settings": json.dumps({"size": 40}), "out": ">out"}
    operators = {"source": own / "neutral.npz", "target": own / "target.npz"}
    meshes = {"source": own / "source", "target": own / "target.obj"}
    more = {
        "nfs_retarget_one": meshes | {"operators": list(operators.values())},
        "nfs_inverse_rig": {"source": meshes["source"], "operators": operators["source"]},
        "nfs_rig": {
            "target": meshes["target"],
            "operators": operators["target"],
            "weights": own / "w.csv",
        },
    }[script]
    return held | more | {"script": script} | changed


def with_other_faces(face: Mesh) -> Mesh:
    return Mesh(face.vertices, face.faces[:, [1, 2, 0]])


def with_fewer_vertices(face: Mesh) -> Mesh:
    last = len(face.vertices) - 1
    return Mesh(face.vertices[:last], face.faces[(face.faces < last).all(axis=1)])


def in_metres(face: Mesh) -> Mesh:
    return Mesh(face.vertices / 1000, face.faces)


def higher(face: Mesh) -> Mesh:
    return Mesh(face.vertices + np.array([0.0, 60.0, 0.0]), face.faces)


@pytest.mark.parametrize("script", ["nfs_retarget_one", "nfs_inverse_rig"])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (with_fewer_vertices, "vertices, but its neutral mesh has"),
        (with_other_faces, "as many vertices as its neutral mesh, but other faces"),
        (with_nan, "not a finite number"),
        (in_metres, "use one unit for all files"),
        (higher, "mm (rms) away from its neutral mesh"),
    ],
)
def test_frames_that_are_none_of_their_neutral(refused, own, face, script, spoil, words):
    write_obj(own / "source/f2.obj", spoil(face))
    refused("f2.obj: ", words, **clone(own, script))


@pytest.mark.parametrize(
    ("identity", "spoil", "words"),
    [
        ((-1.0, 0.5, 0.0), itself, "operators of another mesh than"),
        ((-1.0, 1.0, 0.0), with_fewer_vertices, "operators of a mesh of"),
    ],
)
def test_operators_of_another_mesh(refused, own, demo_model, identity, spoil, words):
    write_obj(own / "target.obj", spoil(face_of(demo_model, identity)))
    refused("target.npz: ", words, "target.obj", **clone(own))


def test_operators_that_are_none(refused, own):
    (own / "target.npz").write_bytes((own / "target.npz").read_bytes()[:2000])
    refused("target.npz", "Delete it", **clone(own))
    np.savez(own / "target.npz", vertices=np.zeros(3))
    refused("target.npz: ", "expected operators of format 1", **clone(own))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("eigenfunctions", 40, "16 eigenfunctions, but the model was trained with 40"),
        ("picture_size", 32, "a picture of 16 pixels, but the model was trained with 32"),
    ],
)
def test_operators_of_other_settings(refused, own, demo_model, key, value, words):
    model = made(replace(SMALL, **{key: value}))
    save_model(own / "model.safetensors", model, demo_model.units, {})
    refused(f"nfs.operators.{key}", words, **clone(own))


def test_weights_with_missing_columns(refused, own, demo_model):
    present = demo_model.units[:-2]
    write_weights(own / "w.csv", present, Weights(("0",), np.zeros((1, len(present)))))
    words = f"2 of 19 columns missing: {', '.join(demo_model.units[-2:])}"
    refused("w.csv: ", words, **clone(own, "nfs_rig"))


def test_weights_that_are_no_numbers(refused, own, demo_model):
    write_weights(own / "w.csv", demo_model.units, Weights(("0",), np.zeros((1, 19))))
    with open(own / "w.csv", "a") as file:
        file.write("1," + ",".join(["0"] * 18 + ["a lot"]) + "\n")
    words = f"row 3, column {demo_model.units[-1]}: found 'a lot'"
    refused("w.csv: ", words, **clone(own, "nfs_rig"))


def test_a_model_of_another_system(refused, own, demo_model):
    from facemill.training.weights import write_weights as write_model

    write_model(own / "model.safetensors", made(SMALL), {"format": "facemill.imface.1"})
    refused("model.safetensors: ", "facemill.imface.1", **clone(own))
