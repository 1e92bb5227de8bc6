"""The mesh that passes between rooms: plain arrays with a check."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from facemill.errors import GeometryError


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh; ``uv`` and ``faces_uv`` come together or not at all.

    Vertex order is data (landmarks and correspondence are vertex numbers): no function reorders it
    unless its name says so.
    """

    vertices: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    uv: Float[np.ndarray, "t 2"] | None = None
    faces_uv: Int[np.ndarray, "f 3"] | None = None

    def check(self, name: str) -> "Mesh":
        """Return the mesh itself, or raise a GeometryError that says what is wrong."""
        if len(self.vertices) == 0 or len(self.faces) == 0:
            raise GeometryError(
                f"{name}: {len(self.vertices)} vertices and {len(self.faces)} faces; a mesh needs "
                "both. The file may be a point cloud or cut short: fetch or export it again."
            )
        bad = np.flatnonzero(~np.isfinite(self.vertices).all(axis=1))
        if len(bad):
            raise GeometryError(
                f"{name}: vertex {bad[0]} is not a finite number ({len(bad)} such vertices). "
                "Export the mesh again or leave this scan out."
            )
        for what, faces, count in (
            ("vertex", self.faces, len(self.vertices)),
            ("texture coordinate", self.faces_uv, 0 if self.uv is None else len(self.uv)),
        ):
            if faces is None:
                continue
            wrong = np.flatnonzero(((faces < 0) | (faces >= count)).any(axis=1))
            if len(wrong):
                raise GeometryError(
                    f"{name}: face {wrong[0]} names {what} {faces[wrong[0]].max()}, but there are "
                    f"only {count}. The file is damaged: fetch or export it again."
                )
        return self
