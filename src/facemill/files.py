"""Reading and writing files so that a file is whole or absent.

Writers go through :func:`writing`: the bytes land in a neighbour, ``<stem>.part-<pid><suffix>``,
and take their final name in one rename. A neighbour whose writer was killed is removed by the next
writer of the same file. Readers turn truncated or foreign files into a
:class:`~facemill.errors.DataError` that names the file.
"""

import glob
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from facemill.errors import DataError


@contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that becomes ``path`` when the block ends well.

    The suffix is kept, so that writers which choose a format by suffix work. Works for folders
    too: make a folder at the yielded path. If the block raises, nothing is left behind.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    part = path.with_name(f"{path.stem}.part-{os.getpid()}{path.suffix}")
    try:
        yield part
        if part.is_dir():
            if path.is_dir():
                shutil.rmtree(path)
        else:
            with open(part, "rb") as file:
                os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def _remove_leftovers(path: Path) -> None:
    """Remove the parts of ``path`` whose writers no longer run (killed, so they could not)."""
    start, end = f"{path.stem}.part-", path.suffix
    for part in path.parent.glob(f"{glob.escape(start)}*{glob.escape(end)}"):
        number = part.name.removeprefix(start).removesuffix(end)
        if not number.isdecimal() or _runs(int(number)):
            continue
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    """Whether a process of this number runs on this machine, whoever owns it."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def require_file(path: str | Path, hint: str) -> Path:
    """Return ``path`` if it is a file with something in it, else say so with the way out."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file. {hint}")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty. {hint}")
    return path


def write_json(path: str | Path, content: Any) -> None:
    """Write ``content`` as indented JSON with a final newline; not-a-number is refused."""
    with writing(path) as part:
        part.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: str | Path, hint: str = "Delete it to have it made again.") -> Any:
    """Read a JSON file; a missing or broken one raises a DataError that ends in ``hint``."""
    text = require_file(path, hint).read_text(encoding="utf-8")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: not valid JSON ({error}). {hint}") from None


def write_npz(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as an uncompressed .npz; keys may hold slashes."""
    with writing(path) as part, open(part, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


@contextmanager
def reading_npz(
    path: str | Path, hint: str = "Delete it to have it made again."
) -> Iterator[np.lib.npyio.NpzFile]:
    """Open an .npz without pickles; a truncated or foreign file raises a DataError."""
    require_file(path, hint)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except (zipfile.BadZipFile, ValueError, EOFError, OSError) as error:
        raise DataError(f"{path}: not a whole .npz file ({error}). {hint}") from None
    except KeyError as error:
        raise DataError(f"{path}: {error.args[0]}. {hint}") from None


def write_npy(path: str | Path, array: np.ndarray) -> None:
    """Write one array as .npy."""
    with writing(path) as part, open(part, "wb") as file:
        np.save(file, array, allow_pickle=False)


def open_npy(path: str | Path, hint: str = "Delete it to have it made again.") -> np.ndarray:
    """Map a .npy file into memory read-only; a truncated or foreign file raises a DataError."""
    require_file(path, hint)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{path}: not a whole .npy file ({error}). {hint}") from None


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_hash(paths: Iterable[str | Path]) -> str:
    """One short hash over the names and bytes of several files; folders and dates do not count."""
    digest = hashlib.sha256()
    for path in sorted(map(Path, paths), key=lambda path: path.name):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
