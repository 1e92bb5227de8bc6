"""The packs that pass between stages: faces (.npz) and signed-distance samples (.npy + .json).

Layout: docs/data-layouts.md. Everything is in the face frame, millimetres. Only numpy is needed, so
that training and fitting can read packs without the mesh libraries.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from facemill.errors import DataError
from facemill.files import open_npy, read_json, reading_npz, sha256, write_json, write_npz, writing
from facemill.mesh.frames import Similarity
from facemill.mesh.surface import Mesh

SAMPLE_COLUMNS = 7
"""Columns of a sample row: x y z, unit normal or gradient, signed distance."""

FACES_AGAIN = "Delete it to have mesh_prepare make it again."
SAMPLES_AGAIN = "Delete it to have sdf_sample make it again."


@dataclass(frozen=True)
class PreparedScan:
    """One expression of one person in the face frame, mm, as mesh_prepare leaves it.

    ``mesh`` is the whole scan in its own vertex order; ``sheet`` the visible part inside the crop
    sphere as a height field z = h(x, y); ``closed`` the watertight head; ``source_to_face`` leads
    from the file's frame to the face frame.
    """

    mesh: Mesh
    landmarks: Float[np.ndarray, "68 3"]
    sheet: Mesh
    closed: Mesh
    source_to_face: Similarity


def write_face_pack(path: str | Path, scans: Mapping[str, PreparedScan]) -> None:
    """Write one person's scans by expression name as an uncompressed .npz.

    Connectivity and texture coordinates are stored once, from the first scan; a scan that differs
    carries its own.
    """
    if not scans:
        raise DataError(f"{path}: no scan to write; a face pack needs at least one expression.")
    arrays = _all_connectivity({expression: scan.mesh for expression, scan in scans.items()})
    for expression, scan in scans.items():
        arrays |= {
            f"{expression}/vertices": scan.mesh.vertices.astype(np.float32),
            f"{expression}/landmarks": scan.landmarks.astype(np.float32),
            f"{expression}/sheet_vertices": scan.sheet.vertices.astype(np.float32),
            f"{expression}/sheet_faces": scan.sheet.faces.astype(np.int32),
            f"{expression}/closed_vertices": scan.closed.vertices.astype(np.float32),
            f"{expression}/closed_faces": scan.closed.faces.astype(np.int32),
            f"{expression}/source_to_face": scan.source_to_face.matrix,
        }
    write_npz(path, arrays)


def write_scan_pack(path: str | Path, scans: Mapping[str, tuple[Mesh, Similarity]]) -> None:
    """Write scans without landmarks, sheet and closed head in the form of a face pack.

    The triangles are the first scan's; a scan that differs carries its own. :class:`FacePack` reads
    them as ``registered``.
    """
    arrays = _all_connectivity({expression: mesh for expression, (mesh, _) in scans.items()})
    for expression, (mesh, source_to_face) in scans.items():
        arrays[f"{expression}/vertices"] = mesh.vertices.astype(np.float32)
        arrays[f"{expression}/source_to_face"] = source_to_face.matrix
    write_npz(path, arrays)


def _all_connectivity(meshes: Mapping[str, Mesh]) -> dict[str, np.ndarray]:
    """The first mesh's connectivity, and that of every mesh that differs under its name."""
    arrays: dict[str, np.ndarray] = {}
    shared: dict[str, np.ndarray] = {}
    for name, mesh in meshes.items():
        own = _connectivity(mesh)
        if not shared:
            shared = own
            arrays |= own
        elif _differ(own, shared):
            arrays |= {f"{name}/{key}": value for key, value in own.items()}
    return arrays


def _connectivity(mesh: Mesh) -> dict[str, np.ndarray]:
    arrays = {"faces": mesh.faces.astype(np.int32)}
    if mesh.uv is not None and mesh.faces_uv is not None:
        arrays["uv"] = mesh.uv.astype(np.float32)
        arrays["faces_uv"] = mesh.faces_uv.astype(np.int32)
    return arrays


def _differ(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    return one.keys() != other.keys() or any(not np.array_equal(one[k], other[k]) for k in one)


class FacePack:
    """Reads one person's prepared scans; arrays are loaded when asked for, no file stays open."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        with reading_npz(self.path, FACES_AGAIN) as arrays:
            self._names = frozenset(arrays.files)
        self.expressions = _in_expression_order(
            name.removesuffix("/vertices") for name in self._names if name.endswith("/vertices")
        )
        if not self.expressions or "faces" not in self._names:
            raise DataError(
                f"{self.path}: no expression with vertices and faces; this is no face pack. "
                + FACES_AGAIN
            )

    def registered(self, expression: str) -> Mesh:
        """The whole scan in its own vertex order, with texture coordinates where known."""
        vertices = self._array(expression, "vertices")
        prefix = f"{expression}/" if f"{expression}/faces" in self._names else ""
        textured = f"{prefix}uv" in self._names
        with reading_npz(self.path, FACES_AGAIN) as arrays:
            return Mesh(
                vertices,
                arrays[f"{prefix}faces"],
                arrays[f"{prefix}uv"] if textured else None,
                arrays[f"{prefix}faces_uv"] if textured else None,
            )

    def vertices(self, expression: str) -> Float[np.ndarray, "v 3"]:
        """The vertices of :meth:`registered` alone."""
        return self._array(expression, "vertices")

    def has_landmarks(self, expression: str) -> bool:
        """Whether landmarks are known, which they are not of every data set."""
        return f"{expression}/landmarks" in self._names

    def sheet(self, expression: str) -> Mesh:
        """The visible part inside the crop sphere as a height field z = h(x, y)."""
        return Mesh(
            self._array(expression, "sheet_vertices"), self._array(expression, "sheet_faces")
        )

    def closed(self, expression: str) -> Mesh:
        """The closed head: watertight and edge-manifold."""
        return Mesh(
            self._array(expression, "closed_vertices"), self._array(expression, "closed_faces")
        )

    def landmarks(self, expression: str) -> Float[np.ndarray, "68 3"]:
        """The 68 iBUG landmarks, not cropped."""
        return self._array(expression, "landmarks")

    def source_to_face(self, expression: str) -> Similarity:
        """From the scan file's own frame to the face frame."""
        return Similarity.from_matrix(self._array(expression, "source_to_face"))

    def _array(self, expression: str, key: str) -> np.ndarray:
        _require_expression(self.path, expression, self.expressions)
        with reading_npz(self.path, FACES_AGAIN) as arrays:
            return arrays[f"{expression}/{key}"]


def write_sample_pack(
    path: str | Path,
    manifest: Mapping[str, Any],
    scans: Iterable[Float32[np.ndarray, "rows 7"]],
) -> None:
    """Write one person's samples scan by scan, then the manifest beside as <stem>.json.

    ``manifest`` holds at least ``expressions`` (order of the scans), ``surface_points``,
    ``free_points`` and ``landmarks`` by expression; ``pack_sha256`` is added. One scan at a time is
    held in memory, and the manifest is read only after the last one, so that ``scans`` may fill it.
    """
    path = Path(path)
    rows = manifest["surface_points"] + manifest["free_points"]
    shape = (len(manifest["expressions"]), rows, SAMPLE_COLUMNS)
    with writing(path) as part, open(part, "wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        written = 0
        for samples in scans:
            if samples.shape != shape[1:]:
                raise DataError(f"{path}: a scan of shape {samples.shape}, expected {shape[1:]}.")
            np.ascontiguousarray(samples, "<f4").tofile(file)
            written += 1
        if written != shape[0]:
            raise DataError(f"{path}: {written} scans for {shape[0]} expressions.")
    write_json(path.with_suffix(".json"), {**manifest, "pack_sha256": sha256(path)})


class SamplePack:
    """Memory-mapped signed-distance samples of one person.

    Rows are shuffled when written, so any contiguous block is a fair batch; a block read costs a
    tenth of as many rows picked at random.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._samples = open_npy(self.path, SAMPLES_AGAIN)
        self.manifest = read_json(self.path.with_suffix(".json"), SAMPLES_AGAIN)
        self.expressions = _manifest_expressions(self.path, self.manifest, self._samples)
        self.rows = self._samples.shape[1]
        self._row_of = {expression: i for i, expression in enumerate(self.expressions)}

    def landmarks(self, expression: str) -> Float32[np.ndarray, "68 3"]:
        """The 68 iBUG landmarks, mm."""
        _require_expression(self.path, expression, self.expressions)
        return np.array(self.manifest["landmarks"][expression], np.float32)

    def block(self, expression: str, start: int, count: int) -> Float32[np.ndarray, "count 7"]:
        """A copy of ``count`` rows from ``start`` on, going round at the end of the scan."""
        samples = self.scan(expression)
        start %= self.rows
        block = np.empty((count, SAMPLE_COLUMNS), np.float32)
        done = 0
        while done < count:
            piece = samples[start : start + count - done]
            block[done : done + len(piece)] = piece
            done += len(piece)
            start = 0
        return block

    def scan(self, expression: str) -> Float32[np.ndarray, "rows 7"]:
        """All rows of one scan, read-only and mapped, not copied."""
        _require_expression(self.path, expression, self.expressions)
        return self._samples[self._row_of[expression]]


def _manifest_expressions(path: Path, manifest: Any, samples: np.ndarray) -> tuple[str, ...]:
    """The manifest's expressions, once it is sure that manifest and pack belong together."""
    beside = path.with_suffix(".json")
    try:
        expressions = tuple(manifest["expressions"])
        rows = int(manifest["surface_points"]) + int(manifest["free_points"])
        landmarks = [np.shape(manifest["landmarks"][name]) for name in expressions]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{beside}: {type(error).__name__} {error} while reading expressions, surface_points, "
            f"free_points and landmarks; this is no sample manifest. {SAMPLES_AGAIN}"
        ) from None
    expected = (len(expressions), rows, SAMPLE_COLUMNS)
    if samples.shape != expected or samples.dtype != np.float32:
        raise DataError(
            f"{path}: {samples.dtype} array of shape {samples.shape}, but {beside.name} tells of "
            f"float32 {expected}; they are not of one run. Delete both to have them made again."
        )
    if any(shape != (68, 3) for shape in landmarks):
        raise DataError(
            f"{beside}: landmarks of shape {landmarks}, expected (68, 3) each. {SAMPLES_AGAIN}"
        )
    return expressions


def _require_expression(path: Path, expression: str, known: tuple[str, ...]) -> None:
    if expression not in known:
        raise DataError(f"{path}: no expression {expression}; it holds {', '.join(known)}.")


def _in_expression_order(names: Iterable[str]) -> tuple[str, ...]:
    """Names such as 1_neutral, 2_smile, 10_dimpler by their number, then by name."""

    def key(name: str) -> tuple[int, str]:
        number = name.split("_")[0]
        return (int(number) if number.isdigit() else 1 << 30, name)

    return tuple(sorted(names, key=key))
