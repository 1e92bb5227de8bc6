"""Make the environment .venv of this checkout from the lock, or leave it alone if it is current.

Needs nothing but Python 3.11 or newer with its venv module. On a machine without an NVIDIA GPU
torch comes as the build without CUDA, whichever package index pip uses.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - any Python may run this file
    sys.exit(
        "error: facemill needs Python 3.11 or newer, but "
        + sys.executable
        + " is "
        + ".".join(map(str, sys.version_info[:3]))
        + ". Name another one: make env PYTHON=python3.12"
    )

REPOSITORY = Path(__file__).resolve().parent.parent
VENV = REPOSITORY / ".venv"
STAMP = VENV / "installed.sha256"
SOURCES = ("envs/requirements.in", "envs/lock.txt", "pyproject.toml")
PYTHON = VENV / "bin" / "python"
PIP = (str(PYTHON), "-m", "pip", "--disable-pip-version-check")
LOCK = ("-c", "envs/lock.txt")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def fingerprint() -> str:
    """One hash over the files that decide what is installed."""
    digest = hashlib.sha256()
    for name in SOURCES:
        digest.update((REPOSITORY / name).read_bytes())
    return digest.hexdigest()


def works() -> bool:
    """Whether the environment starts, lies where it was made and holds what the workflow needs."""
    probe = (
        "import importlib.util as u, sys; "
        "sys.exit(not all(map(u.find_spec, ('torch', 'snakemake', 'facemill'))))"
    )
    try:
        shebang = (VENV / "bin" / "snakemake").open("rb").read(300)
        found = subprocess.run([PYTHON, "-c", probe], capture_output=True, cwd=VENV)
    except OSError:
        return False
    return found.returncode == 0 and os.fsencode(VENV) in shebang


def make_venv() -> None:
    """An empty environment; what lies there of an unfinished one is removed first."""
    shutil.rmtree(VENV, ignore_errors=True)
    made = subprocess.run([sys.executable, "-m", "venv", VENV], capture_output=True, text=True)
    if made.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit(
            f"error: {sys.executable} cannot make a virtual environment:\n"
            f"{made.stdout}{made.stderr}"
            "On Debian and Ubuntu: apt-get install python3-venv. Or name another Python: "
            "make env PYTHON=python3.12"
        )


def torch_brings_cuda() -> bool:
    """Whether pip's choice of torch here depends on NVIDIA's packages; nothing is installed."""
    report = subprocess.run(
        [*PIP, "install", "--dry-run", "--quiet", "--no-deps", "--report", "-", "torch", *LOCK],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=REPOSITORY,
    )
    if report.returncode:
        return False  # the installation itself will tell what is wrong
    needs = [
        name
        for item in json.loads(report.stdout)["install"]
        for name in item["metadata"].get("requires_dist", [])
    ]
    return any(name.startswith(("nvidia-", "cuda-")) for name in needs)


def install() -> None:
    """Install the locked packages, then this checkout itself, editable."""
    index = []
    if sys.platform == "linux" and not shutil.which("nvidia-smi") and torch_brings_cuda():
        print("No NVIDIA GPU here: torch comes from the index without CUDA.", flush=True)
        index = ["--extra-index-url", CPU_INDEX]
    quiet = ["install", "--quiet", "--no-compile"]
    requirements = [*quiet, "-r", "envs/requirements.in", *LOCK, *index]
    for command in (requirements, [*quiet, "--no-deps", "-e", "."]):
        if subprocess.run([*PIP, *command], cwd=REPOSITORY).returncode:
            sys.exit("error: pip could not install the environment; its message stands above.")


def main() -> None:
    """Install what is missing; say nothing if nothing is."""
    wanted = fingerprint()
    if STAMP.is_file() and works():
        if STAMP.read_text() == wanted:
            return
    else:
        print(f"Making the environment {VENV} (two to three minutes) ...", flush=True)
        make_venv()
    STAMP.unlink(missing_ok=True)
    install()
    STAMP.write_text(wanted)
    print("The environment is ready.", flush=True)


if __name__ == "__main__":
    main()
