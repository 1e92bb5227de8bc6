"""Reading rendered views at random, from many processes, without unpacking them."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from facemill.errors import DataError
from facemill.files import require_file
from facemill.render.cameras import Camera
from facemill.render.png import read_png

DEPTH_UNITS = 32
"""Depth images count 1/32 mm, so that 16 bits reach 2 m and the rounding is 0.016 mm."""

AGAIN = "Delete it to have views_render make it again."


class ViewPack:
    """One person's views (``views/<person>.zip``, layout in docs/data-layouts.md).

    Members are stored, not compressed, so each is one read at a known offset: safe from threads
    and from processes forked after opening.
    """

    def __init__(self, path: str | Path):
        self.path = require_file(path, AGAIN)
        try:
            with zipfile.ZipFile(self.path) as archive:
                self._members = {info.filename: info for info in archive.infolist()}
                table = json.loads(archive.read("cameras.json"))
        except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
            raise DataError(f"{path}: not a whole view pack ({error}). {AGAIN}") from None
        self.cameras = {
            name: Camera(
                np.array(entry["intrinsics"], float),
                np.array(entry["extrinsics"], float),
                entry["width"],
                entry["height"],
            )
            for name, entry in table.items()
        }
        images = [name.split("/")[0] for name in self._members if "/" in name]
        self.expressions = tuple(dict.fromkeys(images))
        self._file = open(self.path, "rb")  # noqa: SIM115 - open as long as the pack

    def close(self) -> None:
        """Close the file; reading afterwards is an error."""
        self._file.close()

    def __enter__(self) -> "ViewPack":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[type, tuple[Path]]:
        # A process that is not forked opens the file anew.
        return (ViewPack, (self.path,))

    @property
    def names(self) -> tuple[str, ...]:
        """View names ``<pitch>_<i>``."""
        return tuple(self.cameras)

    def camera(self, name: str) -> Camera:
        """The camera of a view, face frame, mm."""
        return self.cameras[name]

    def image(self, expression: str, name: str) -> UInt8[np.ndarray, "h w 4"]:
        """RGBA with straight alpha: 255 where the pixel's centre sees the head."""
        return self._read(f"{expression}/{name}.png")

    def depth(self, expression: str, name: str) -> Float32[np.ndarray, "h w"]:
        """Camera z in mm at the pixel centres, 0 where nothing is seen."""
        return self._read(f"{expression}/{name}_depth.png").astype(np.float32) / DEPTH_UNITS

    def normals(self, expression: str, name: str) -> Float32[np.ndarray, "h w 3"]:
        """Unit normals in the face frame at the pixel centres, 0 where nothing is seen."""
        packed = self._read(f"{expression}/{name}_normal.png")
        normals = packed.astype(np.float32) / 127.5 - 1.0
        normals /= np.linalg.norm(normals, axis=2, keepdims=True)
        normals[(packed == 0).all(axis=2)] = 0.0
        return normals

    def _read(self, member: str) -> np.ndarray:
        if member not in self._members:
            raise DataError(
                f"{self.path}: no view {member}; it holds the expressions "
                f"{', '.join(self.expressions)} and the views {', '.join(self.names)}."
            )
        info = self._members[member]
        # A local header is 30 bytes, then name and extra field, whose lengths stand at byte 26.
        handle = self._file.fileno()
        lengths = np.frombuffer(os.pread(handle, 4, info.header_offset + 26), "<u2")
        start = info.header_offset + 30 + int(lengths.sum())
        try:
            return read_png(os.pread(handle, info.file_size, start), f"{self.path}: {member}")
        except DataError as error:
            raise DataError(f"{error} {AGAIN}") from None
