"""Heads of the demo data set: topology, vertices, texture and files of a person."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from facemill.data.demo.expression import draw_recipe, express
from facemill.data.demo.identity import Person, build_person, draw_identity
from facemill.data.demo.landmarks import landmark_vertices, regions
from facemill.data.demo.painting import paint
from facemill.data.demo.recipes import RECIPES
from facemill.data.demo.sculpt import mean_head
from facemill.data.topology import Topology
from facemill.errors import ConfigError
from facemill.files import writing


@lru_cache(maxsize=1)
def topology() -> Topology:
    """The demo heads' one topology."""
    grid = mean_head().grid
    return Topology(
        name="demo",
        n_vertices=grid.n_vertices,
        landmarks=landmark_vertices(grid),
        source="facemill.data.demo",
        faces=grid.faces,
        uv=grid.uv,
        faces_uv=grid.faces_uv,
        mirror=grid.mirror,
        regions=regions(grid),
    ).check()


@lru_cache(maxsize=4)
def neutral_person(person: str, seed: int) -> Person:
    """The person's neutral head with eye centres and jaw hinge."""
    return build_person(draw_identity(person, seed))


def head(person: str, expression: str, seed: int) -> Float[np.ndarray, "v 3"]:
    """Vertices of one person's expression in mm: +x the subject's left, +y up, +z out of the face.

    Drawn from the seed and the person's id alone; the same call gives the same bytes.
    """
    if expression not in RECIPES:
        raise ConfigError(
            f"expression {expression!r} is unknown to the demo heads; "
            f"known are {', '.join(RECIPES)}."
        )
    return express(neutral_person(person, seed), draw_recipe(person, expression, seed))


def texture(person: str, seed: int, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """The person's texture; row 0 is v = 1."""
    return paint(person, seed, size)


def write_person(
    person: str, expressions: Sequence[str], seed: int, texture_size: int, folder: str | Path
) -> None:
    """Write a person's TU tree (docs/data-layouts.md): meshes, materials, one shared texture."""
    with writing(folder) as part:
        part.mkdir(parents=True)
        image = Image.fromarray(texture(person, seed, texture_size))
        image.save(part / "1_neutral.jpg", quality=92, subsampling=0)
        tail = _obj_tail()
        for expression in expressions:
            name = f"{expression}.obj"
            text = _obj_vertices(head(person, expression, seed))
            with open(part / name, "w", encoding="ascii", newline="\n") as file:
                file.write(f"mtllib {name}.mtl\nusemtl skin\n")
                file.write(text)
                file.write(tail)
            (part / f"{name}.mtl").write_text(
                "newmtl skin\nKd 1 1 1\nmap_Kd 1_neutral.jpg\n", encoding="ascii"
            )


def _obj_vertices(vertices: np.ndarray) -> str:
    """One ``v x y z`` line a vertex, to a tenth of a micrometre."""
    line = "v %.4f %.4f %.4f\n" * len(vertices)
    return line % tuple(vertices.ravel().tolist())


@lru_cache(maxsize=1)
def _obj_tail() -> str:
    """Texture coordinates and triangles, the same for every head."""
    known = topology()
    uv = "vt %.6f %.6f\n" * len(known.uv) % tuple(known.uv.ravel().tolist())
    corners = np.stack([known.faces, known.faces_uv], axis=-1) + 1
    faces = "f %d/%d %d/%d %d/%d\n" * len(corners) % tuple(corners.ravel().tolist())
    return uv + faces
