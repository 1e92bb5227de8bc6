"""Speed of the data room: reading a head, listing FaceScape. Prints a markdown table.

    python benchmarks/data.py

The head is the embedded mean head; the tree is made of
empty files.
"""

import tempfile
import time
from pathlib import Path

import trimesh

from facemill.data import demo, index, sources, splits
from facemill.data.demo.sculpt import mean_head
from facemill.data.expressions import EXPRESSIONS
from facemill.mesh.io import read_mesh, write_obj
from facemill.mesh.surface import Mesh


def best_of(count, function, *arguments) -> float:
    """Shortest time of several calls, seconds."""
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        function(*arguments)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def reading(folder: Path) -> None:
    """Our OBJ reader beside a general one, with the vertex count that comes back."""
    topology = demo.topology()
    mesh = Mesh(mean_head().vertices, topology.faces, topology.uv, topology.faces_uv)
    path = folder / "head.obj"
    write_obj(path, mesh)
    ours = best_of(5, read_mesh, path)
    other = best_of(5, lambda: trimesh.load(path, process=False, maintain_order=True))
    kept = len(trimesh.load(path, process=False, maintain_order=True).vertices)
    size = f"{len(mesh.vertices)} vertices, {len(mesh.faces)} triangles"
    print(f"| read an OBJ ({size}) | {ours:.3f} s | |")
    print(
        f"| the same with trimesh ({kept} vertices come back) | {other:.3f} s "
        f"| {other / ours:.1f} x |"
    )


def listing(folder: Path, people: int) -> None:
    """What the workflow does at every start, and once for the index."""
    for person in range(1, people + 1):
        home = folder / "tree" / str(person) / "models_reg"
        home.mkdir(parents=True)
        for expression in EXPRESSIONS:
            (home / f"{expression}.obj").touch()
            (home / f"{expression}.jpg").touch()
    settings = {"dataset": "facescape", "facescape_root": str(folder / "tree")}

    def start():
        return splits.make_split(
            sources.people(settings), list(EXPRESSIONS), {"test_people": people // 10}, 0
        )

    split = start()
    seconds = best_of(3, start)
    print(f"| people and split of {people} people at start | {seconds:.3f} s | |")
    seconds = best_of(
        3,
        index.build_index,
        "facescape",
        folder / "tree",
        split.people,
        list(EXPRESSIONS),
        split,
    )
    print(f"| index of {people} people x 20 scans | {seconds:.3f} s | |")


if __name__ == "__main__":
    print("| what | time | ratio |\n| --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        reading(Path(scratch))
        listing(Path(scratch), 847)
