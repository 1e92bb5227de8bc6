"""What a network needs to know of one neutral mesh: Laplacian, eigenbasis, gradients, picture.

One .npz for each mesh, without pickles, with a version and a hash of geometry and settings.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.sparse import csr_array

from facemill.errors import ConfigError, DataError
from facemill.files import reading_npz, write_npz
from facemill.mesh.frames import Similarity
from facemill.mesh.surface import Mesh

FORMAT = 1
"""Version of the file; another one is refused."""

AGAIN = "Delete it to have operators_build make it again."


@dataclass(frozen=True)
class OperatorSettings:
    """What decides a mesh's operators, besides its geometry."""

    eigenfunctions: int = 128  # the smoothest ones (NFS release)
    picture_size: int = 256  # pixels (NFS release)

    def __post_init__(self) -> None:
        for name in ("eigenfunctions", "picture_size"):
            value = getattr(self, name)
            if value < 2:
                raise ConfigError(f"{name}: found {value}, expected a number of at least 2")


@dataclass(frozen=True)
class Operators:
    """A cleaned neutral mesh in the canonical frame (units of 10 cm) and its operators.

    ``gradients`` stacks the operators along both tangent axes, (2 v, v). ``source[i]`` is the
    number that vertex i has in the mesh as it came, which had ``n_source`` vertices; ``placed`` led
    from that mesh's frame to the canonical one, ``residual`` is how far it then lay from the mean
    face (mm, rms; not a number where nothing was aligned).
    """

    vertices: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    mass: Float[np.ndarray, " v"]
    laplacian: csr_array
    eigenvalues: Float[np.ndarray, " k"]
    eigenvectors: Float[np.ndarray, "v k"]
    gradients: csr_array
    picture: UInt8[np.ndarray, "p p"]
    source: Int[np.ndarray, " v"]
    n_source: int
    placed: Similarity
    residual: float
    fingerprint: str

    @property
    def mesh(self) -> Mesh:
        """The neutral mesh, canonical units."""
        return Mesh(self.vertices.astype(np.float64), self.faces)

    def require_source(self, vertices: int, name: str) -> None:
        """Raise a DataError where an expression has another vertex count than the neutral had."""
        if vertices != self.n_source:
            raise DataError(
                f"{name}: {vertices} vertices, but its neutral mesh has {self.n_source}. All "
                "expressions of a sequence must have their neutral's topology."
            )

    def frame(self, vertices: Float[np.ndarray, "n 3"], name: str) -> Float[np.ndarray, "v 3"]:
        """An expression of the same topology, in the file's frame, as canonical vertices."""
        self.require_source(len(vertices), name)
        return self.placed.apply(vertices[self.source])


def fingerprint(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], settings: OperatorSettings
) -> str:
    """A short hash of canonical geometry, settings and the file's version."""
    digest = hashlib.sha256(json.dumps([FORMAT, asdict(settings)], sort_keys=True).encode())
    digest.update(np.ascontiguousarray(vertices, np.float32).tobytes())
    digest.update(np.ascontiguousarray(faces, np.int32).tobytes())
    return digest.hexdigest()[:16]


PLAIN = ("vertices", "faces", "mass", "eigenvalues", "eigenvectors", "picture", "source")
SPARSE = ("laplacian", "gradients")


def arrays_of(operators: Operators) -> dict[str, np.ndarray]:
    """The arrays of an operators file; sparse matrices as data, indices and row starts."""
    arrays = {name: getattr(operators, name) for name in PLAIN}
    for name in SPARSE:
        matrix = getattr(operators, name)
        arrays[f"{name}/data"] = matrix.data
        arrays[f"{name}/indices"] = matrix.indices.astype(np.int32)
        arrays[f"{name}/starts"] = matrix.indptr.astype(np.int32)
    arrays["placed"] = operators.placed.matrix
    about = {
        "format": FORMAT,
        "n_source": operators.n_source,
        "residual": operators.residual if np.isfinite(operators.residual) else None,
        "fingerprint": operators.fingerprint,
    }
    return arrays | {"about": np.array(json.dumps(about))}


def write_operators(path: str | Path, operators: Operators) -> None:
    """Write the operators of one mesh."""
    write_npz(path, arrays_of(operators))


def read_operators(path: str | Path) -> Operators:
    """Read operators; a damaged or foreign file, or one of another version, raises a DataError."""
    with reading_npz(path, AGAIN) as arrays:
        about = _about(path, arrays)
        held: dict[str, Any] = {name: arrays[name] for name in PLAIN}
        n = len(held["vertices"])
        for name, rows in (("laplacian", n), ("gradients", 2 * n)):
            parts = (arrays[f"{name}/{part}"] for part in ("data", "indices", "starts"))
            held[name] = csr_array(tuple(parts), shape=(rows, n))
        residual = about["residual"]
        return Operators(
            **held,
            n_source=int(about["n_source"]),
            placed=Similarity.from_matrix(arrays["placed"]),
            residual=float("nan") if residual is None else float(residual),
            fingerprint=str(about["fingerprint"]),
        )


def _about(path: str | Path, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    about = json.loads(str(arrays["about"])) if "about" in arrays else {}
    if about.get("format") != FORMAT:
        raise DataError(
            f"{path}: format {about.get('format')!r}, expected operators of format {FORMAT}. "
            + AGAIN
        )
    return about
