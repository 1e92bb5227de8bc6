"""Topology descriptions: what the vertex numbers of a mesh mean.

A topology is chosen by vertex count and checked. Landmark numbers, regions and mirror tables are
read from it; no vertex number stands in code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from facemill.errors import DataError
from facemill.files import reading_npz, write_npz


@dataclass(frozen=True)
class Topology:
    """Names and meanings of the vertices of one mesh connectivity.

    ``landmarks`` are the 68 iBUG points in their standard order (30 nose tip, 36 and 45 outer eye
    corners, 48 and 54 mouth corners, 8 chin). ``mirror[i]`` is the vertex across the sagittal
    plane. ``regions`` are vertex lists by name.
    """

    name: str
    n_vertices: int
    landmarks: Int[np.ndarray, " k"]
    source: str
    faces: Int[np.ndarray, "f 3"] | None = None
    uv: Float[np.ndarray, "t 2"] | None = None
    faces_uv: Int[np.ndarray, "f 3"] | None = None
    mirror: Int[np.ndarray, " v"] | None = None
    regions: Mapping[str, Int[np.ndarray, " r"]] = field(default_factory=dict)

    def check(self) -> "Topology":
        """Return the topology itself, or raise a DataError naming the first thing that is wrong."""
        if self.landmarks.shape != (68,):
            raise DataError(
                f"topology {self.name} ({self.source}): {self.landmarks.size} landmarks, expected "
                "the 68 iBUG points. Give the landmark file of this mesh's own topology."
            )
        lists = {"landmarks": self.landmarks, "mirror": self.mirror, "faces": self.faces}
        lists |= {f"region {name}": region for name, region in self.regions.items()}
        for what, numbers in lists.items():
            if numbers is None or numbers.size == 0:
                continue
            if numbers.min() < 0 or numbers.max() >= self.n_vertices:
                raise DataError(
                    f"topology {self.name} ({self.source}): {what} names vertex {numbers.max()}, "
                    f"but a mesh has {self.n_vertices}. The file belongs to another topology."
                )
        if self.mirror is not None and not np.array_equal(
            self.mirror[self.mirror], np.arange(self.n_vertices)
        ):
            raise DataError(
                f"topology {self.name} ({self.source}): mirrored twice, a vertex does not come "
                "back to itself; the mirror table is damaged."
            )
        return self


def save_topology(topology: Topology, path: str | Path) -> None:
    """Write a topology as .npz without pickles."""
    arrays = {
        "name": np.array(topology.name),
        "source": np.array(topology.source),
        "n_vertices": np.array(topology.n_vertices),
        "landmarks": topology.landmarks,
    }
    for key in ("faces", "uv", "faces_uv", "mirror"):
        value = getattr(topology, key)
        if value is not None:
            arrays[key] = value
    arrays |= {f"regions/{name}": region for name, region in topology.regions.items()}
    write_npz(path, arrays)


def load_topology(path: str | Path) -> Topology:
    """Read a topology and check it."""
    with reading_npz(path, "Run data_topology again.") as arrays:
        optional = {
            key: arrays[key] for key in ("faces", "uv", "faces_uv", "mirror") if key in arrays
        }
        return Topology(
            name=str(arrays["name"]),
            n_vertices=int(arrays["n_vertices"]),
            landmarks=arrays["landmarks"],
            source=str(arrays["source"]),
            regions={
                key.removeprefix("regions/"): arrays[key]
                for key in arrays.files
                if key.startswith("regions/")
            },
            **optional,
        ).check()


def load_topologies(folder: str | Path) -> list[Topology]:
    """All topologies of a folder, by file name."""
    return [load_topology(path) for path in sorted(Path(folder).glob("*.npz"))]


def choose_topology(topologies: Sequence[Topology], n_vertices: int, mesh_name: str) -> Topology:
    """The topology with this many vertices; an unknown count is refused by name."""
    for topology in topologies:
        if topology.n_vertices == n_vertices:
            return topology
    known = ", ".join(f"{t.name} ({t.n_vertices} vertices)" for t in topologies) or "none"
    raise DataError(
        f"{mesh_name}: {n_vertices} vertices fit no known topology; known are {known}. "
        "A mesh of another topology needs a landmark file beside it (docs/data-layouts.md)."
    )
