"""The law of imports: workflow -> systems -> ground floor, never upward, never sideways."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from facemill import provenance

SOURCES = Path(provenance.__file__).parent
GROUND_FLOOR = {"data", "mesh", "render", "nets", "training", "metrics", "figures"}
SYSTEMS = {"imface", "mofanerf", "neuface", "mvfr", "nfs"}
MAY_USE = {"neuface": {"imface"}}
MODULES = sorted(SOURCES.rglob("*.py"))
HEAVY = ("torch", "scipy", "matplotlib", "pandas", "trimesh", "igl", "skimage", "embreex")
TRAINING_LIBRARIES = {"torch", "numpy", "scipy", "safetensors", "jaxtyping", "tqdm", "facemill"}


def room(path: Path) -> str:
    """The folder of the package that a module lies in; empty for the package's own modules."""
    parts = path.relative_to(SOURCES).parts
    return parts[0] if len(parts) > 1 else ""


def imports(path: Path) -> set[str]:
    return set(provenance.imported_names(ast.parse(path.read_bytes())))


def rooms_used(path: Path) -> set[str]:
    names = [name.split(".") for name in imports(path)]
    return {name[1] for name in names if name[0] == "facemill" and len(name) > 1}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCES)))
def test_a_module_uses_only_what_stands_below_it(path):
    here = room(path)
    systems = rooms_used(path) & SYSTEMS - {here}
    if here in SYSTEMS:
        assert systems <= MAY_USE.get(here, set()), "a system imports no other system"
    else:
        assert not systems, "the ground floor imports no system"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCES)))
def test_the_library_knows_no_engine_and_has_no_relative_imports(path):
    assert not {name for name in imports(path) if name.split(".")[0].startswith("snakemake")}
    relative = [n for n in ast.walk(ast.parse(path.read_bytes())) if getattr(n, "level", 0)]
    assert not relative


def test_every_room_is_known():
    rooms = {path.name for path in SOURCES.iterdir() if (path / "__init__.py").exists()}
    assert rooms <= GROUND_FLOOR | SYSTEMS


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that are loaded after a statement in a fresh interpreter."""
    program = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    run = [sys.executable, "-c", program]
    return set(subprocess.run(run, capture_output=True, text=True, check=True).stdout.split())


def test_what_the_workflow_loads_at_every_start_is_light():
    statement = (
        "from facemill import configuration, provenance\n"
        "from facemill.data import sources, splits, tree\n"
        "sources.people({'dataset': 'demo', 'people': 3})"
    )
    assert not loaded_by(statement) & set(HEAVY)


def test_training_and_fitting_need_only_the_training_libraries():
    statement = (
        "import facemill.imface.train, facemill.imface.fit, facemill.mofanerf.train\n"
        "import facemill.mofanerf.refine_train, facemill.mofanerf.refine_evaluate\n"
        "import facemill.nfs.train"
    )
    geometry = {"trimesh", "igl", "embreex", "pandas", "matplotlib", "skimage", "pymeshlab", "PIL"}
    assert not loaded_by(statement) & geometry
