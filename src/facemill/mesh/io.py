"""Reading and writing meshes and textures.

OBJ files are read here and not by a library: vertex numbers are the data (landmarks and
correspondence hang on them), and general readers split vertices along texture seams.
"""

import warnings
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

from facemill.data.tree import IMAGE_SUFFIXES, material_texture
from facemill.errors import DataError
from facemill.files import require_file, writing
from facemill.mesh.surface import Mesh

MESH_SUFFIXES = (".obj", ".ply", ".stl", ".glb")
"""The mesh files that can be read, by lower-case suffix."""

_EXPORT_AGAIN = "Export or fetch the file again, or leave this scan out."


def read_mesh(path: str | Path) -> Mesh:
    """Read an OBJ, PLY, STL or GLB file, checked by :meth:`Mesh.check`.

    Vertices keep the file's order and unit. Only STL, which repeats every corner, has identical
    vertices merged. GLB node transforms are applied and several geometries are joined in the
    file's order. Raises DataError where the file is missing, broken or no mesh, GeometryError
    where numbers in it cannot be a mesh.
    """
    path = require_file(path, "A mesh file (.obj, .ply, .stl, .glb) is expected here.")
    suffix = path.suffix.lower()
    if suffix not in MESH_SUFFIXES:
        raise DataError(
            f"{path}: meshes are read from {', '.join(MESH_SUFFIXES)}, not from {suffix or 'this'}."
            " Convert the file first."
        )
    mesh = read_obj(path) if suffix == ".obj" else _read_with_trimesh(path)
    return mesh.check(str(path))


def read_obj(path: str | Path) -> Mesh:
    """Read a Wavefront OBJ with its vertices in the file's order.

    Polygons are split into fans round their first corner. Faces without texture coordinates in a
    file where others have them point to one extra coordinate at (0, 0). Normals, groups and
    materials are passed over. Raises DataError on text that is no OBJ; ranges are not checked.
    """
    path = Path(path)
    lines = path.read_bytes().replace(b"\\\n", b" ").replace(b"\\\r\n", b" ").splitlines()
    keyword = [line.split(None, 1)[0] if line and not line.isspace() else b"" for line in lines]
    rows = {
        key: [line.lstrip()[len(key) :] for line, k in zip(lines, keyword, strict=True) if k == key]
        for key in (b"v", b"vt", b"f")
    }
    vertices = _numbers(path, "v", rows[b"v"])
    uv = _numbers(path, "vt", rows[b"vt"])
    if vertices.shape[1] < 3 or (len(uv) and uv.shape[1] < 2):
        raise DataError(f"{path}: 'v' lines need 3 numbers and 'vt' lines 2. {_EXPORT_AGAIN}")
    sizes = np.array([len(row.split()) for row in rows[b"f"]], np.int64)
    if len(sizes) and sizes.min() < 3:
        raise DataError(
            f"{path}: face {int(sizes.argmin())} has {sizes.min()} corners, expected 3 or more; "
            f"the file may be cut short. {_EXPORT_AGAIN}"
        )
    position, texture = _corner_indices(path, b" ".join(rows[b"f"]), int(sizes.sum()))
    if (position < 0).any() or (texture < 0).any():
        defined = np.array([(k == b"v", k == b"vt") for k in keyword], np.int64).cumsum(axis=0)
        before = defined[[k == b"f" for k in keyword]]
        position = _from_relative(position, np.repeat(before[:, 0], sizes))
        texture = _from_relative(texture, np.repeat(before[:, 1], sizes))
    if (position == 0).any():
        raise DataError(f"{path}: a face names vertex 0, but OBJ counts from 1. {_EXPORT_AGAIN}")
    fan = _fan(sizes)
    faces = position[fan] - 1
    if not texture.any() or len(uv) == 0:
        return Mesh(vertices[:, :3], faces)
    uv = uv[:, :2]
    if (texture == 0).any():
        uv = np.concatenate([uv, np.zeros((1, 2))])
        texture = np.where(texture == 0, len(uv), texture)
    return Mesh(vertices[:, :3], faces, uv, texture[fan] - 1)


def _parsed(text: bytes, dtype: type) -> np.ndarray:
    """Numbers between white space; a ValueError at the first thing that is none."""
    with warnings.catch_warnings():
        # Older numpy stops at what it cannot read with a warning only.
        warnings.simplefilter("error", DeprecationWarning)
        try:
            return np.fromstring(text, dtype, sep=" ")
        except DeprecationWarning as error:
            raise ValueError(str(error)) from None


def _numbers(path: Path, key: str, rows: list[bytes]) -> Float[np.ndarray, "n k"]:
    """The numbers after one keyword, a row a line; all lines must hold equally many."""
    if not rows:
        return np.zeros((0, 3))
    sizes = np.array([len(row.split()) for row in rows])
    if (sizes != sizes[0]).any():
        odd = int(np.flatnonzero(sizes != sizes[0])[0])
        raise DataError(
            f"{path}: the line '{key}{rows[odd].decode(errors='replace')}' holds {sizes[odd]} "
            f"numbers, the lines before it {sizes[0]}. {_EXPORT_AGAIN}"
        )
    try:
        return _parsed(b" ".join(rows), np.float64).reshape(len(rows), sizes[0])
    except ValueError as error:
        raise DataError(
            f"{path}: a '{key}' line is not made of numbers ({error}). {_EXPORT_AGAIN}"
        ) from None


def _corner_indices(
    path: Path, text: bytes, count: int
) -> tuple[Int[np.ndarray, " c"], Int[np.ndarray, " c"]]:
    """Position and texture numbers of face corners as written (from 1, or negative); 0 for none."""
    slashes = text.translate(None, b"0123456789+-").split()
    forms = set(slashes)
    doubles = text.count(b"//")
    none = np.zeros(count, np.int64)
    try:
        if not forms:
            return _parsed(text, np.int64).reshape(count), none
        if len(slashes) == count and len(forms) == 1 and doubles in (0, count):
            width = 3 if forms == {b"//"} and doubles == 0 else 2
            table = _parsed(text.replace(b"/", b" "), np.int64).reshape(count, width)
            return table[:, 0], none if doubles else table[:, 1]
        parts = [token.split(b"/") for token in text.split()]
        return (
            np.array([int(part[0]) for part in parts], np.int64),
            np.array([int(part[1] or 0) if len(part) > 1 else 0 for part in parts], np.int64),
        )
    except ValueError as error:
        raise DataError(f"{path}: a face line cannot be read ({error}). {_EXPORT_AGAIN}") from None


def _from_relative(
    numbers: Int[np.ndarray, " c"], defined: Int[np.ndarray, " c"]
) -> Int[np.ndarray, " c"]:
    """Negative numbers count back from what the file had defined so far; -1 is the last one.

    One that reaches before the beginning becomes a number past any end, for the range check.
    """
    absolute = np.where(numbers < 0, defined + 1 + numbers, numbers)
    return np.where((numbers < 0) & (absolute < 1), np.iinfo(np.int32).max, absolute)


def _fan(sizes: Int[np.ndarray, " p"]) -> Int[np.ndarray, "t 3"]:
    """Corner numbers of the triangles (0, i, i + 1) of every polygon, polygons in order."""
    polygon = np.repeat(np.arange(len(sizes)), sizes - 2)
    first_triangle = np.cumsum(sizes - 2) - (sizes - 2)
    first_corner = (np.cumsum(sizes) - sizes)[polygon]
    step = np.arange(len(polygon)) - first_triangle[polygon]
    return np.stack([first_corner, first_corner + step + 1, first_corner + step + 2], axis=1)


def _read_with_trimesh(path: Path) -> Mesh:
    import trimesh

    try:
        scene = trimesh.load_scene(path, process=False)
        pieces = []
        # The reader lists nodes in no fixed order; vertex numbers must not depend on it.
        order = {name: number for number, name in enumerate(scene.geometry)}
        placed = [(*scene.graph[node], node) for node in scene.graph.nodes_geometry]
        for transform, name, _ in sorted(placed, key=lambda one: (order[one[1]], one[2])):
            geometry = scene.geometry[name]
            if isinstance(geometry, trimesh.Trimesh):
                pieces.append(_placed(geometry, np.asarray(transform)))
    # A broken file makes the reader fail in ways of its own (struct, JSON, index, key errors).
    except Exception as error:
        raise DataError(
            f"{path}: cannot be read as {path.suffix[1:].upper()} "
            f"({type(error).__name__}: {error}). {_EXPORT_AGAIN}"
        ) from None
    if not pieces:
        raise DataError(f"{path}: holds no triangle mesh. {_EXPORT_AGAIN}")
    mesh = join_meshes(pieces)
    return _merge_identical(mesh) if path.suffix.lower() == ".stl" else mesh


def _placed(geometry, transform: Float[np.ndarray, "4 4"]) -> Mesh:
    """A trimesh geometry as a Mesh in its scene's frame; a mirroring transform turns the faces."""
    vertices = np.asarray(geometry.vertices, np.float64) @ transform[:3, :3].T + transform[:3, 3]
    faces = np.asarray(geometry.faces, np.int64).reshape(-1, 3)
    if np.linalg.det(transform[:3, :3]) < 0:
        faces = faces[:, ::-1].copy()
    uv = getattr(geometry.visual, "uv", None)
    if uv is None or len(uv) != len(vertices):
        return Mesh(vertices, faces)
    return Mesh(vertices, faces, np.asarray(uv, np.float64)[:, :2], faces.copy())


def join_meshes(meshes: list[Mesh]) -> Mesh:
    """Several meshes as one, vertices one mesh after the other; uv only where all have it."""
    first = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    vertices = np.concatenate([mesh.vertices for mesh in meshes])
    faces = np.concatenate([mesh.faces + n for mesh, n in zip(meshes, first, strict=False)])
    if any(mesh.uv is None for mesh in meshes):
        return Mesh(vertices, faces)
    first_uv = np.cumsum([0, *(len(mesh.uv) for mesh in meshes)])
    return Mesh(
        vertices,
        faces,
        np.concatenate([mesh.uv for mesh in meshes]),
        np.concatenate([mesh.faces_uv + n for mesh, n in zip(meshes, first_uv, strict=False)]),
    )


def _merge_identical(mesh: Mesh) -> Mesh:
    """Vertices at bitwise the same place become one, in the order of first appearance."""
    _, first, group = np.unique(mesh.vertices, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return Mesh(mesh.vertices[first[order]], rank[group.reshape(-1)][mesh.faces])


def write_obj(
    path: str | Path,
    mesh: Mesh,
    material: str | None = None,
    colours: UInt8[np.ndarray, "v 3"] | None = None,
) -> None:
    """Write an OBJ; coordinates to nine digits, so that float32 comes back exactly.

    ``colours`` stand behind the coordinates (0 to 1), as most programs read them, though no
    standard has them. ``material`` is the file name of a texture image beside it: then
    ``<name>.obj.mtl`` is written too and names that image.
    """
    path = Path(path)
    text = ""
    if material is not None:
        with writing(path.with_name(path.name + ".mtl")) as part:
            part.write_text(f"newmtl skin\nKd 1 1 1\nmap_Kd {material}\n", encoding="utf-8")
        text += f"mtllib {path.name}.mtl\nusemtl skin\n"
    row, numbers = "v %.9g %.9g %.9g", mesh.vertices
    if colours is not None:
        row, numbers = row + " %.4f %.4f %.4f", np.concatenate([numbers, colours / 255.0], axis=1)
    text += (f"{row}\n" * len(numbers)) % tuple(numbers.ravel().tolist())
    corner = mesh.faces + 1
    if mesh.uv is not None and mesh.faces_uv is not None:
        text += ("vt %.9g %.9g\n" * len(mesh.uv)) % tuple(mesh.uv.ravel().tolist())
        corner = np.stack([corner, mesh.faces_uv + 1], axis=-1)
        text += ("f %d/%d %d/%d %d/%d\n" * len(corner)) % tuple(corner.ravel().tolist())
    else:
        text += ("f %d %d %d\n" * len(corner)) % tuple(corner.ravel().tolist())
    with writing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_ply(
    path: str | Path,
    mesh: Mesh,
    normals: Float[np.ndarray, "v 3"] | None = None,
    colours: UInt8[np.ndarray, "v 3"] | None = None,
) -> None:
    """Write a binary little-endian PLY: float32 vertices, with normals and colours where given."""
    columns = {"x y z": ("float", "<f4", mesh.vertices)}
    if normals is not None:
        columns["nx ny nz"] = ("float", "<f4", normals)
    if colours is not None:
        columns["red green blue"] = ("uchar", "u1", colours)
    named = [
        (name, kind, code, values[:, i])
        for names, (kind, code, values) in columns.items()
        for i, name in enumerate(names.split())
    ]
    rows = np.empty(len(mesh.vertices), np.dtype([(name, code) for name, _, code, _ in named]))
    for name, _, _, values in named:
        rows[name] = values
    properties = "".join(f"property {kind} {name}\n" for name, kind, _, _ in named)
    header = (
        "ply\nformat binary_little_endian 1.0\n"
        f"element vertex {len(mesh.vertices)}\n{properties}"
        f"element face {len(mesh.faces)}\n"
        "property list uchar int vertex_indices\nend_header\n"
    )
    faces = np.empty(len(mesh.faces), np.dtype([("n", "u1"), ("corners", "<i4", 3)]))
    faces["n"] = 3
    faces["corners"] = mesh.faces
    with writing(path) as part:
        part.write_bytes(header.encode() + rows.tobytes() + faces.tobytes())


def read_texture(path: str | Path) -> UInt8[np.ndarray, "h w 3"]:
    """An image file as 8-bit RGB, row 0 on top; one that is missing or no image is a DataError."""
    from PIL import Image

    path = require_file(path, "A texture image (.jpg, .png) is expected here.")
    try:
        with Image.open(path) as image:
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path}: not a whole image file ({error}). Fetch it again, or remove it to go on "
            "without a texture."
        ) from None


def find_texture(path: str | Path) -> Path | None:
    """The texture of an OBJ, without opening the mesh; None where no such file exists.

    It is ``<stem>.jpg`` or ``.png``, else ``map_Kd`` of ``<name>.obj.mtl`` or ``<stem>.mtl``.
    """
    path = Path(path)
    candidates = [path.with_suffix(suffix) for suffix in IMAGE_SUFFIXES]
    for material in (path.with_name(path.name + ".mtl"), path.with_suffix(".mtl")):
        if material.is_file():
            candidates.append(path.with_name(material_texture(material) or material.name))
    images = (found for found in candidates if found.suffix.lower() != ".mtl")
    return next((found for found in images if found.is_file()), None)
