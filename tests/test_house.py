"""The house's own rules: environments and lock, rules and their parts, scripts, files, words."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from facemill import provenance

ROOT = Path(__file__).resolve().parent.parent
RULE_FILES = [ROOT / "Snakefile", *sorted((ROOT / "workflow/rules").glob("*.smk"))]
SCRIPTS = sorted((ROOT / "workflow/scripts").glob("*.py"))
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
COLLECTIONS = {"all", "prepare", "imface_layout", "imface_meshes", "imface_release"}


def rules() -> dict[str, str]:
    """Text of every rule by name, collections of targets left out."""
    found = {}
    for path in RULE_FILES:
        for text in re.split(r"^(?= *rule \w+:)", path.read_text(), flags=re.M)[1:]:
            found[re.match(r"\s*rule (\w+):", text)[1]] = text
    return {name: text for name, text in found.items() if name not in COLLECTIONS}


RULES = rules()


def locked(python: str = "3.11") -> dict[str, str]:
    """Versions in the lock for Linux and one Python, by package."""
    environment = {"python_full_version": f"{python}.0", "sys_platform": "linux"}
    versions = {}
    for line in (ROOT / "envs/lock.txt").read_text().splitlines():
        text = line.split("  #")[0].split(" #")[0].strip()
        if text and not text.startswith("#"):
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate(environment):
                versions[requirement.name] = str(requirement.specifier).removeprefix("==")
    return versions


def pins(environment: Path) -> dict[str, str]:
    """pip's pins of an environment file, by package."""
    listed = yaml.safe_load(environment.read_text())["dependencies"]
    lines = next(part["pip"] for part in listed if isinstance(part, dict))
    assert all("==" in line for line in lines), "every package has its exact version"
    return dict(line.split("==") for line in lines)


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_environments_hold_the_lock_s_versions(path):
    listed = yaml.safe_load(path.read_text())["dependencies"]
    python = next(part for part in listed if isinstance(part, str) and part.startswith("python"))
    versions = locked(python.split("=")[1])
    assert {name: versions.get(name) for name in pins(path)} == pins(path)


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_environments_install_facemill_after_they_are_made(path):
    script = path.with_suffix("").with_suffix(".post-deploy.sh")
    assert "pip install --no-deps -e ." in script.read_text()


def outside_imports(script: Path) -> set[str]:
    """Distributions outside the standard library that a script may import, at any depth."""
    files = {script, *provenance.modules_of(script)}
    names = {
        name.split(".")[0]
        for path in files
        for name in provenance.imported_names(ast.parse(path.read_bytes()))
    }
    names -= set(sys.stdlib_module_names) | {"facemill"}
    distributions = importlib.metadata.packages_distributions()
    return {re.sub(r"[_.]", "-", distributions[name][0].lower()) for name in names}


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_s_environment_holds_what_its_script_imports(name):
    script = re.search(r"workflow/scripts/(\w+)\.py", RULES[name])[1]
    environment = re.search(r"envs/(\w+)\.yaml", RULES[name])[1]
    needed = outside_imports(ROOT / "workflow/scripts" / f"{script}.py")
    assert needed <= set(pins(ROOT / "envs" / f"{environment}.yaml"))


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_rule_says_all_that_is_expected(name):
    text = RULES[name]
    for part in ("output", "log", "benchmark", "threads", "conda", "resources", "params", "shell"):
        assert re.search(rf"^\s+{part}:", text, re.M), f"{name} has no {part}:"
    assert "mem_mb=lambda wildcards, attempt:" in text
    assert "runtime=" in text
    assert "&> {log:q}" in text, "messages go to the log"
    assert re.search(r"\n\s+# [A-Z].+\.\n", text), "a sentence of what it does"
    script = re.search(r"workflow/scripts/(\w+)\.py", text)[1]
    assert f'code=CODE["{script}"]' in text, "changed code makes a stage again"
    if re.fullmatch(r"\w+_(train|fit)", name) and not name.startswith("baseline"):
        assert "gpu=" in text


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: path.name)
def test_rule_files_are_plain(path):
    text = path.read_text()
    assert not re.search(r"^\s+(run|script|message|retries):", text, re.M)
    assert len(text.splitlines()) <= (70 if path.name == "Snakefile" else 250)
    shells = re.findall(r"shell:\n((?:\s+\".*\"\n)+)", text)
    for placeholder in re.findall(r"\{[^{}]+\}", "".join(shells)):
        assert placeholder.endswith(":q}") or placeholder == "{threads}", placeholder


WITHOUT_TORCH = """
import runpy, sys
for name in ("torch", "scipy", "pandas", "matplotlib", "trimesh", "igl", "skimage", "embreex"):
    sys.modules[name] = None
sys.argv = [sys.argv[1], "--help"]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_help_of_a_script_needs_no_heavy_library(path):
    run = [sys.executable, "-c", WITHOUT_TORCH, str(path)]
    answer = subprocess.run(run, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert ast.get_docstring(ast.parse(path.read_text())).split("\n")[0] in answer.stdout


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_are_short(path):
    assert len(path.read_text().splitlines()) <= 80


EVERYWHERE = ("src", "workflow", "tests", "envs", "config", "docs", "benchmarks", "slurm")
PROGRAM = ("src", "workflow", "envs", "benchmarks")


def files_in(folders: Iterable[str], *suffixes: str) -> list[Path]:
    """Files of the project by suffix, without what is made or downloaded."""
    found = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    return [path for path in found if path.suffix in suffixes and "__pycache__" not in path.parts]


FORBIDDEN = {
    "unfinished": r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "NotImpl" + "emented")) + r")\b",
    "unsafe": r"import pickle|\byaml\.load\(|allow_pickle=True|\bos\.system\(|shell=True",
    "a path of one machine": r"(?<![\w.\"'])/(work|root|home|farm|tmp)/[a-z.]",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_files_are_free_of(what):
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files_in(
            PROGRAM if what == "unsafe" else EVERYWHERE, ".py", ".smk", ".yaml", ".md"
        )
        if path != Path(__file__).resolve()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(FORBIDDEN[what], line)
    ]
    assert not found, "\n".join(found)


def test_weights_are_loaded_without_code():
    for path in files_in(EVERYWHERE, ".py"):
        for call in re.findall(r"torch\.load\([^)]*\)", path.read_text()):
            assert "weights_only=True" in call, f"{path}: {call}"
