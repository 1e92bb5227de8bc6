"""Small made-up faces for tests: one topology, a few people and expressions, packs and an index.

A face is a bent disc with a nose, eye hollows and a mouth, the nose tip at (0, 0, 40) mm. It is
as simple as can be fitted by a network of a few thousand weights in seconds.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from facemill.data.packs import PreparedScan, write_face_pack, write_sample_pack
from facemill.data.splits import Split, content_hash
from facemill.files import write_json
from facemill.mesh.distance import signed_distance_sheet
from facemill.mesh.frames import Similarity
from facemill.mesh.sampling import sample_ball, sample_surface
from facemill.mesh.sheet import face_sheet
from facemill.mesh.surface import Mesh

EXPRESSIONS = ("1_neutral", "2_smile", "3_mouth_stretch", "19_brow_raiser")
UNSEEN = ("3_mouth_stretch",)


def disc(rings: int = 24, spokes: int = 48, radius: float = 92.0) -> tuple[np.ndarray, np.ndarray]:
    """Points (v, 2) of a disc, the centre first, and its triangles, facing +z."""
    around = np.linspace(0, 2 * np.pi, spokes, endpoint=False)
    circle = np.column_stack([np.cos(around), np.sin(around)])
    points = np.concatenate(
        [np.zeros((1, 2)), *[radius * (i + 1) / rings * circle for i in range(rings)]]
    )
    faces = [[0, 1 + i, 1 + (i + 1) % spokes] for i in range(spokes)]
    for ring in range(rings - 1):
        inner, outer = 1 + ring * spokes, 1 + (ring + 1) * spokes
        for i in range(spokes):
            j = (i + 1) % spokes
            faces += [[inner + i, outer + i, outer + j], [inner + i, outer + j, inner + j]]
    return points, np.array(faces)


def face(identity: np.ndarray, expression: str, smile: float = 1.0) -> Mesh:
    """A person (4 numbers of unit variance) with an expression, mm, nose tip in place.

    ``smile``: how much of one; 1 moves the corners of the mouth by 2 mm.
    """
    points, faces = disc()
    x, y = points.T
    width, nose, brow, cheek = 1 + 0.08 * identity[0], *(1 + 0.2 * identity[1:])
    z = 60 * np.exp(-((x / width) ** 2 + y**2) / 6500)
    z += 18 * nose * np.exp(-((x / 13) ** 2) - (y / 18) ** 2)
    z -= 7 * brow * np.exp(-(((np.abs(x) - 32) / 13) ** 2) - ((y - 32) / 9) ** 2)
    z += 4 * cheek * np.exp(-(((np.abs(x) - 35) / 15) ** 2) - ((y + 10) / 15) ** 2)
    around_mouth = np.exp(-((x / 25) ** 2) - ((y + 40) / 14) ** 2)
    brow_line = np.exp(-((x / 45) ** 2) - ((y - 42) / 8) ** 2)
    if expression == "2_smile":
        x = x + 0.2 * smile * x * around_mouth
        z -= 4 * smile * around_mouth
    elif expression == "3_mouth_stretch":
        y = y - 10 * around_mouth * (y < -40)
        z -= 8 * np.exp(-((x / 14) ** 2) - ((y + 45) / 9) ** 2)
    elif expression == "19_brow_raiser":
        y = y + 4 * brow_line
        z += 2 * brow_line
    vertices = np.column_stack([x * width, y, z])
    return Mesh(vertices - vertices[0] + [0, 0, 40.0], faces)


def landmark_vertices() -> np.ndarray:
    """68 spread vertices, with the nose tip, eye and mouth corners in iBUG's places."""
    points, _ = disc()
    chosen = np.linspace(1, len(points) - 200, 68).astype(int)
    for number, place in {36: (-45, 32), 45: (45, 32), 48: (-25, -40), 54: (25, -40)}.items():
        chosen[number] = np.linalg.norm(points - place, axis=1).argmin()
    chosen[30] = 0
    return chosen


@dataclass(frozen=True)
class Dataset:
    """Where :func:`write_dataset` put things, and who is in it."""

    folder: Path
    train: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def index(self) -> Path:
        return self.folder / "index.json"

    def faces(self, person: str = "") -> Path:
        return self.folder / "faces" / (f"{person}.npz" if person else "")

    def samples(self, person: str = "") -> Path:
        return self.folder / "samples" / (f"{person}.npy" if person else "")


def write_dataset(
    folder: Path, train: int = 6, test: int = 2, rows: int = 6000, smile: float = 1.0
) -> Dataset:
    """Faces, samples and index of ``train + test`` people, as the workflow leaves them."""
    people = [f"s{i:03d}" for i in range(1, train + test + 1)]
    names = Dataset(folder, tuple(people[:train]), tuple(people[train:]))
    for number, person in enumerate(people):
        identity = np.clip(np.random.default_rng(number).normal(size=4), -2, 2)
        scans, samples, landmarks = {}, [], {}
        for expression in EXPRESSIONS:
            mesh = face(identity, expression, smile)
            sheet = face_sheet(mesh)
            marks = mesh.vertices[landmark_vertices()]
            scans[expression] = PreparedScan(mesh, marks, sheet, sheet, Similarity())
            samples.append(sample_rows(sheet, rows, np.random.default_rng([number, 1])))
            landmarks[expression] = marks.tolist()
        names.faces().mkdir(parents=True, exist_ok=True)
        names.samples().mkdir(parents=True, exist_ok=True)
        write_face_pack(names.faces(person), scans)
        manifest = {
            "stage": "sdf_sample",
            "person": person,
            "expressions": list(EXPRESSIONS),
            "surface_points": rows - rows // 10,
            "free_points": rows // 10,
            "landmarks": landmarks,
        }
        write_sample_pack(names.samples(person), manifest, samples)
    write_json(names.index, _index(names))
    return names


def sample_rows(sheet: Mesh, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Nine tenths surface, one tenth free, shuffled: float32 (rows, 7)."""
    surface = sample_surface(sheet, rows - rows // 10, rng)
    free = sample_ball(rows // 10, 100.0, rng)
    distance, gradient = signed_distance_sheet(free, sheet)
    table = np.concatenate(
        [
            np.column_stack([surface.points, surface.normals, np.zeros(len(surface.points))]),
            np.column_stack([free, gradient, distance]),
        ]
    )
    return rng.permutation(table).astype(np.float32)


def _index(names: Dataset) -> dict:
    people = {
        person: {
            "split": "train" if person in names.train else "test",
            "scans": {e: {"mesh": f"{e}.obj", "texture": None} for e in EXPRESSIONS},
            "missing": [],
        }
        for person in (*names.train, *names.test)
    }
    seen = tuple(e for e in EXPRESSIONS if e not in UNSEEN)
    split = Split(names.train, names.test, seen, UNSEEN, seed=0, hash="")
    split = replace(split, hash=content_hash(split)).as_json()
    content = {"dataset": "synthetic", "tree": ".", "expressions": list(EXPRESSIONS)}
    return json.loads(json.dumps(content | {"people": people, "split": split}))
