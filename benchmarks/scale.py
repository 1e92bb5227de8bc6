"""How long the workflow needs to plan a run, by number of people: empty scans, nothing is computed.

Rows: people, jobs, seconds (of the processor in brackets) and memory of `snakemake -n all` from
nothing, and of a run with nothing to do (all outputs stand as empty files newer than their inputs).
"""

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from facemill.data.expressions import EXPRESSIONS

REPOSITORY = Path(__file__).resolve().parent.parent
PARTS = ("Snakefile", "config.yaml", "config", "profiles", "workflow", "envs")


def made_up_tree(root: Path, people: int) -> None:
    """A FaceScape tree of empty meshes and textures."""
    for person in range(1, people + 1):
        folder = root / str(person) / "models_reg"
        folder.mkdir(parents=True)
        for expression in EXPRESSIONS:
            (folder / f"{expression}.obj").touch()
            (folder / f"{expression}.jpg").touch()


def run(folder: Path, root: Path, *arguments: str) -> tuple[str, str]:
    """Snakemake's text, and its seconds by the clock and on the processor, on the made-up tree."""
    start, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", *arguments, "all"),
            *("--configfile", "config/facescape.yaml", "--config", f"facescape_root={root}"),
            "split={test_people: 10}",
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if answer.returncode:
        sys.exit(answer.stdout[-3000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    return answer.stdout, f"{time.monotonic() - start:.1f} s ({processor:.1f} s)"


def peak_memory() -> float:
    """Largest memory of a finished child so far, in MB."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, nargs="+", default=[100, 400, 847])
    print("| people | jobs | plan from nothing | nothing to do | peak memory |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for people in parser.parse_args().people:
        with tempfile.TemporaryDirectory() as scratch:
            folder, root = Path(scratch) / "project", Path(scratch) / "TU"
            made_up_tree(root, people)
            folder.mkdir()
            for part in PARTS:
                copy = shutil.copytree if (REPOSITORY / part).is_dir() else shutil.copy
                copy(REPOSITORY / part, folder / part)
            plan, first = run(folder, root, "-n")
            jobs = re.search(r"^total\s+(\d+)", plan, re.M)[1]
            for line in re.findall(r"^    output: (.+)", plan, re.M):
                for name in line.split(", "):
                    path = folder / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.mkdir() if not path.suffix else path.touch()
            now = time.time()
            for path in (folder / "results").rglob("*"):
                os.utime(path, (now, now))
            nothing, second = run(folder, root, "-n")
            assert "Nothing to be done" in nothing, nothing[-2000:]
        print(f"| {people} | {jobs} | {first} | {second} | {peak_memory():.0f} MB |", flush=True)


if __name__ == "__main__":
    main()
