"""Point clouds: reading them, outliers, normals, what is hidden, where the surface ends.

A cloud is a set of points near a surface, from one side or all round, with noise, holes and stray
points. "Front" is +z of the face frame, as for meshes (:mod:`facemill.mesh.visibility`).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

from facemill.errors import DataError, GeometryError
from facemill.files import open_npy, require_file

CLOUD_SUFFIXES = (".ply", ".xyz", ".npy")
"""Files that may hold a point cloud, by lower-case suffix."""

FEWEST_POINTS = 300
"""Of a face, that is of what is visible inside the crop ball: points 6 mm apart on a plain face."""

NORMAL_RADIUS = 4.0
"""mm; normals are estimated from about as many neighbours as a disc of this radius holds."""

OUTLIER_RATIO, OUTLIER_LIMIT = 3.0, 10.0
"""A point so many times lonelier than its neighbours, or than most, is no part of the surface."""

BORDER_ANGLE = np.radians(120.0)
"""A point with no neighbour in a sector this wide lies on the border or beside a hole."""


@dataclass(frozen=True)
class PointCloud:
    """Points and, where the scanner gave them, normals of any length and sign."""

    points: Float[np.ndarray, "n 3"]
    normals: Float[np.ndarray, "n 3"] | None = None

    def take(self, chosen: np.ndarray) -> "PointCloud":
        """The chosen points (a mask or numbers) with their normals."""
        normals = None if self.normals is None else self.normals[chosen]
        return PointCloud(self.points[chosen], normals)


def read_point_cloud(path: str | Path) -> PointCloud:
    """Read points from .ply (x y z, and nx ny nz), .xyz (3 or 6 numbers a line) or .npy.

    An .npy holds an array (n, 3) or (n, 6). Columns after the sixth of an .xyz (colours) are passed
    over. Raises DataError where the file is missing, broken, of another form, or a number in it is
    not finite.
    """
    path = require_file(path, "A point cloud (.ply, .xyz, .npy) is expected here.")
    suffix = path.suffix.lower()
    if suffix == ".ply":
        table = _from_ply(path)
    elif suffix == ".npy":
        table = np.asarray(open_npy(path, "Export the points again."))
    else:
        table = _from_text(path)
    if table.ndim != 2 or table.shape[1] < 3 or table.dtype.kind not in "fiu":
        raise DataError(
            f"{path}: {table.dtype} array of shape {table.shape}, expected numbers in rows "
            "'x y z' or 'x y z nx ny nz'."
        )
    table = np.asarray(table, np.float64)
    bad = np.flatnonzero(~np.isfinite(table[:, :3]).all(axis=1))
    if len(bad):
        raise DataError(
            f"{path}: point {bad[0]} is not finite ({len(bad)} such points). Scanners write them "
            "where they saw nothing: export without them."
        )
    normals = table[:, 3:6] if table.shape[1] >= 6 else None
    if normals is not None and not (np.linalg.norm(np.nan_to_num(normals), axis=1) > 1e-6).all():
        normals = None  # a column of zeros is no normal
    return PointCloud(table[:, :3], normals)


def _from_text(path: Path) -> np.ndarray:
    """Rows of an .xyz: numbers between blanks or commas, # begins a remark."""
    rows = []
    for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
        words = line.split("#")[0].replace(",", " ").split()
        if not words:
            continue
        # Six columns of which the last three are colours (0 to 255) look like normals; nine do not.
        try:
            rows.append([float(word) for word in words])
        except ValueError:
            raise DataError(f"{path}: line {number} is not made of numbers: {line!r}.") from None
        if len(rows[-1]) != len(rows[0]):
            raise DataError(
                f"{path}: line {number} holds {len(rows[-1])} numbers, the lines before it "
                f"{len(rows[0])}. The file may be cut short: export it again."
            )
    table = np.array(rows, np.float64).reshape(len(rows), -1)
    if table.shape[1] >= 6 and np.abs(table[:, 3:6]).max() > 1.5:
        return table[:, :3]
    return table


PLY_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2",
    "ushort": "u2", "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip


def _from_ply(path: Path) -> np.ndarray:
    """The vertices of a PLY, its first element. (General readers stumble over 0 faces.)"""
    content = path.read_bytes()
    header, end, body = content.partition(b"end_header\n")
    if not end:
        header, end, body = content.partition(b"end_header\r\n")
    words = [line.split() for line in header.decode("ascii", errors="replace").splitlines()]
    try:
        form = next(line[1] for line in words if line[:1] == ["format"])
        elements = [i for i, line in enumerate(words) if line[:1] == ["element"]]
        kind, count = words[elements[0]][1:3]
        own = words[elements[0] + 1 : elements[1] if len(elements) > 1 else None]
        columns = [(line[2], PLY_TYPES[line[1]]) for line in own if line[:1] == ["property"]]
        if not (end and kind == "vertex" and {"x", "y", "z"} <= {name for name, _ in columns}):
            raise ValueError("no vertices with x, y, z come first")
        if form == "ascii":
            flat = np.array(body.split()[: int(count) * len(columns)], np.float64)
            table = dict(zip((c for c, _ in columns), flat.reshape(int(count), -1).T, strict=True))
        else:
            order = {"binary_little_endian": "<", "binary_big_endian": ">"}[form]
            types = np.dtype([(name, order + kind) for name, kind in columns])
            table = np.frombuffer(body, types, int(count))
        names = ["x", "y", "z"]
        names += ["nx", "ny", "nz"] if {"nx", "ny", "nz"} <= {c for c, _ in columns} else []
        return np.stack([np.asarray(table[name], np.float64) for name in names], axis=1)
    except (StopIteration, IndexError, KeyError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read as a PLY of points ({type(error).__name__}: {error}). The "
            "file may be cut short: export it again."
        ) from None


def spacing(points: Float[np.ndarray, "n 3"]) -> float:
    """Median distance to the nearest other point."""
    some = points[:: max(1, len(points) // 5000)]
    return float(np.median(cKDTree(points).query(some, k=2)[0][:, 1]))


def without_outliers(cloud: PointCloud, neighbours: int = 8) -> PointCloud:
    """The cloud without points far lonelier than the points next to them.

    The mean distance to ``neighbours`` points is compared with the median of theirs, so that a scan
    may be dense on the face and thin at the side. Points at one place count once.
    """
    points, first = np.unique(cloud.points, axis=0, return_index=True)
    cloud = cloud.take(first)
    if len(points) <= neighbours:
        return cloud
    distance, near = cKDTree(points).query(points, k=neighbours + 1)
    lonely = distance[:, 1:].mean(axis=1)
    usual = np.median(lonely[near[:, 1:]], axis=1)
    limit = np.minimum(OUTLIER_RATIO * usual, OUTLIER_LIMIT * np.median(lonely))
    return cloud.take(lonely <= limit)


def in_front(points: Float[np.ndarray, "n 3"], gap: float) -> Bool[np.ndarray, " n"]:
    """False where other points lie well in front (+z) of a point, as they do of the back of a head.

    Space is cut into columns along z, three gaps wide; in a column what lies behind the front by
    more than its width, and by more than 8 mm, is hidden. A column has to be wider than the
    gaps between points, or the back shows through the front, and the step deeper than a column is
    wide, or steep skin hides itself.
    """
    width = 3.0 * gap
    cells = np.floor(points[:, :2] / width).astype(np.int64)
    _, column = np.unique(cells, axis=0, return_inverse=True)
    column = column.reshape(-1)
    front = np.full(column.max() + 1, -np.inf)
    np.maximum.at(front, column, points[:, 2])
    return points[:, 2] >= front[column] - max(8.0, width)


def front_normals(cloud: PointCloud, gap: float) -> Float[np.ndarray, "n 3"]:
    """Unit normals towards the front (n_z >= 0): the given ones, else those of fitted planes.

    Visible surface always faces the front, so that the sign of given normals, which scanners do not
    agree on, is not needed.
    """
    normals = cloud.normals
    if normals is None:
        count = int(np.clip(np.pi * (NORMAL_RADIUS / gap) ** 2, 12, 64))
        normals = plane_normals(cloud.points, min(count, len(cloud.points) - 1))
    normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(normals[:, 2:] < 0, -normals, normals)


def plane_normals(points: Float[np.ndarray, "n 3"], neighbours: int) -> Float[np.ndarray, "n 3"]:
    """Normal of the plane through each point's neighbourhood, of either sign (local PCA)."""
    offsets = _neighbourhood(points, neighbours)[1]
    offsets = offsets - offsets.mean(axis=1, keepdims=True)
    covariance = np.einsum("nki,nkj->nij", offsets, offsets)
    return np.linalg.eigh(covariance)[1][:, :, 0]


def border_points(
    points: Float[np.ndarray, "n 3"], normals: Float[np.ndarray, "n 3"], neighbours: int = 20
) -> Bool[np.ndarray, " n"]:
    """Where the surface ends, at the rim or at a hole: no neighbour in a sector of 120 degrees.

    Neighbours are seen in the tangent plane of the point (as in border detection for unorganised
    points; Bendels, Schnabel and Klein 2006, angle criterion).
    """
    _, offsets = _neighbourhood(points, min(neighbours, len(points) - 1))
    other = np.where(np.abs(normals[:, :1]) < 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]])
    first = np.cross(normals, other)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(normals, first)
    angle = np.arctan2(
        np.einsum("nki,ni->nk", offsets, second), np.einsum("nki,ni->nk", offsets, first)
    )
    angle = np.sort(angle, axis=1)
    gaps = np.diff(angle, axis=1, append=angle[:, :1] + 2 * np.pi)
    return gaps.max(axis=1) > BORDER_ANGLE


def _neighbourhood(
    points: Float[np.ndarray, "n 3"], neighbours: int
) -> tuple[Int[np.ndarray, "n k"], Float[np.ndarray, "n k 3"]]:
    """Numbers of the nearest other points, and the steps that lead there."""
    near = cKDTree(points).query(points, k=neighbours + 1)[1][:, 1:]
    return near, points[near] - points[:, None]


def require_points(count: int, name: str, where: str) -> None:
    """Raise a GeometryError where too few points are left to be a face."""
    if count < FEWEST_POINTS:
        raise GeometryError(
            f"{name}: {count} points {where}, expected at least {FEWEST_POINTS} of a face. The "
            "scan is too thin, cut short, or no face."
        )
