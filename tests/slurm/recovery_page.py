"""The commands of docs/recover.md, run as a reader would run them."""

import re
import subprocess
from pathlib import Path


def first_commands(page: str, heading: str) -> str:
    """The first block of shell commands below a heading of a Markdown page."""
    section = page.split(f"\n{heading}\n")[1]
    return re.search("```bash\n(.*?)\n```", section, re.DOTALL)[1]


def follow(commands: str, folder: Path, environment: dict[str, str]) -> None:
    """Run shell commands in a folder; each has to succeed."""
    script = folder / "page.sh"  # a file, as on a command line they would find themselves by pgrep
    script.write_text(f"set -euo pipefail\n{commands}\n", encoding="utf-8")
    done = subprocess.run(
        ["bash", script.name],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
