"""Which source code a program consists of, as one short hash.

A stage is made again when its code changes, not when a file's date does. The hash covers a program
and everything of facemill that it imports, directly or through other modules, but neither comments
nor docstrings nor layout.
"""

import ast
import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from facemill.files import writing

PACKAGE = Path(__file__).resolve().parent
DATA_SUFFIXES = (".json", ".npz", ".txt", ".js", ".html", ".css")


_seen: dict[str, list] = {}
"""File -> [modification time and size, imported names, hash], of every file read so far."""


def code_hashes(programs: Iterable[Path], remembered: Path) -> dict[str, str]:
    """Hash of each program by its name, with what was read at an earlier call kept in a file.

    A workflow is loaded anew by each of its jobs, and parsing a hundred modules takes a second. A
    file whose time and size are as ``remembered`` is not read again; a damaged memory is ignored.
    """
    with contextlib.suppress(OSError, ValueError):
        _seen.update(json.loads(remembered.read_text(encoding="utf-8")))
    before = dict(_seen)
    hashes = {program.stem: code_hash(program) for program in programs}
    if _seen != before:
        with writing(remembered) as part:
            part.write_text(json.dumps(_seen), encoding="utf-8")
    return hashes


def code_hash(program: str | Path) -> str:
    """Hash of a program and of the facemill modules that it imports; 12 hexadecimal digits."""
    digest = hashlib.sha256()
    program = Path(program).resolve()
    for path in [program, *sorted(modules_of(program))]:
        _, substance = read(path)
        digest.update(f"{path.name}\0{substance}\0".encode())
        for data in data_files(path):
            digest.update(data.read_bytes())
    return digest.hexdigest()[:12]


def modules_of(program: Path) -> set[Path]:
    """Files of all facemill modules that a program imports, at any depth, functions included."""
    found: set[Path] = set()
    waiting = [program]
    while waiting:
        new = set(imported(waiting.pop())) - found
        found |= new
        waiting.extend(new)
    return found


@cache
def imported(path: Path) -> tuple[Path, ...]:
    """Files of the facemill modules named in the import statements of one file."""
    names, _ = read(path)
    return tuple(
        file for name in names if name.split(".")[0] == PACKAGE.name for file in files_of(name)
    )


def read(path: Path) -> tuple[tuple[str, ...], str]:
    """The names that a source file imports, and a hash of it without comments and docstrings."""
    stat = path.stat()
    stamp = [stat.st_mtime_ns, stat.st_size]
    if _seen.get(str(path), [None])[0] != stamp:
        tree = ast.parse(path.read_bytes(), filename=str(path))
        _seen[str(path)] = [stamp, list(imported_names(tree)), substance(tree)]
    _, names, digest = _seen[str(path)]
    return tuple(names), digest


def substance(tree: ast.Module) -> str:
    """Hash of a syntax tree, docstrings left out (they are taken from the tree)."""
    for node in ast.walk(tree):
        documented = isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        )
        if documented and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def imported_names(tree: ast.Module) -> Iterator[str]:
    """Dotted names that a syntax tree imports; ``from a import b`` gives ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files_of(name: str) -> Iterator[Path]:
    """Source files that importing a dotted name runs: the packages on the way and the module."""
    place = PACKAGE
    yield place / "__init__.py"
    for part in name.split(".")[1:]:
        place = place / part
        if place.is_dir():
            yield place / "__init__.py"
        else:
            if place.with_suffix(".py").is_file():
                yield place.with_suffix(".py")
            return


@cache
def data_files(path: Path) -> tuple[Path, ...]:
    """Data files of the package that a module names: those below its folder, by their file name."""
    if PACKAGE not in path.parents:
        return ()
    text = path.read_text(encoding="utf-8")
    files = (file for file in path.parent.rglob("*") if file.suffix in DATA_SUFFIXES)
    return tuple(sorted(file for file in files if file.name in text))
