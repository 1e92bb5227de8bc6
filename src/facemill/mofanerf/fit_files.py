"""Fits as files: an .npz with codes and camera, a JSON report beside it."""

from pathlib import Path

import numpy as np

from facemill.errors import DataError
from facemill.files import reading_npz, sha256, write_json, write_npz
from facemill.mofanerf.faces import FaceCodes
from facemill.mofanerf.fit import FittedImage
from facemill.render.cameras import Camera

CODES = ("shape", "expression", "appearance", "mix")

HINT = "Delete it to have the fit made again."


def write_fit(fitted: FittedImage, model: str | Path, out: str | Path, report: str | Path) -> None:
    """Write ``out`` (.npz) and ``report`` (.json); ``model`` is the file that was fitted."""
    camera = fitted.camera
    arrays = {name: getattr(fitted.codes, name) for name in CODES}
    arrays |= {
        "intrinsics": camera.intrinsics,
        "extrinsics": camera.extrinsics,
        "size": np.array([camera.width, camera.height]),
        "brightness": np.array(fitted.brightness),
        "model_sha256": np.array(sha256(model)),
    }
    write_json(report, fitted.report)
    write_npz(out, arrays)


def read_fit(path: str | Path, model: str | Path | None = None) -> FittedImage:
    """Read what :func:`write_fit` wrote, without the report.

    Raises DataError for a foreign file, and for one that was fitted with other weights than
    ``model``: the same numbers would draw another face.
    """
    with reading_npz(path, HINT) as arrays:
        if missing := {*CODES, "model_sha256"} - set(arrays.files):
            raise DataError(f"{path}: no {min(missing)} in it; it is no fit of MoFaNeRF. {HINT}")
        found = str(arrays["model_sha256"])
        if model is not None and found != sha256(model):
            raise DataError(
                f"{path}: fitted with weights of checksum {found[:12]}, {model} has "
                f"{sha256(model)[:12]}: the same codes mean another face. Fit again, or give the "
                "weights of that fit."
            )
        width, height = (int(n) for n in arrays["size"])
        camera = Camera(arrays["intrinsics"], arrays["extrinsics"], width, height)
        codes = FaceCodes(*[arrays[name] for name in CODES])
        return FittedImage(codes, camera.check(str(path)), float(arrays["brightness"]), {})
