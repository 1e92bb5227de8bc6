"""What the pages name is there: targets, source files, tests, other pages."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "resources/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
RULE_FILES = [ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]
RULES = {n for p in RULE_FILES for n in re.findall(r"^\s*rule (\w+):", p.read_text(), re.M)}
SOURCES = [path for part in ("src", "tests", "workflow") for path in (ROOT / part).rglob("*.py")]

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@every_page
def test_targets_that_a_page_names_are_rules(page):
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    words = [w for command in re.findall(r"snakemake ([^`\n]*)", text) for w in command.split()]
    targets = {word for word in words if re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", word)}
    assert targets <= RULES


@every_page
def test_source_files_and_tests_that_a_page_names_are_there(page):
    text = page.read_text(encoding="utf-8")
    for name in set(re.findall(r"(?<![\w./<>*-])\w[\w/.-]*\.py\b", text)):
        found = [p for p in SOURCES if p.as_posix().endswith(f"/{name}")]
        assert found or (ROOT / name).is_file(), f"{page.name} names {name}"
    for name, test in re.findall(r"(\w[\w/]*\.py)::(\w+)", text):
        files = [p for p in SOURCES if p.as_posix().endswith(f"/{name}")]
        assert any(f"def {test}(" in file.read_text() for file in files), f"{name}::{test}"


@every_page
def test_links_of_a_page_lead_to_a_file_and_its_heading(page):
    for file, heading in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text()):
        if "://" in file:
            continue
        target = page.parent / file if file else page
        assert target.exists(), f"{page.name} links to {file}"
        if heading:
            heads = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.M)
            anchors = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
            assert heading in anchors, f"{page.name} links to {file}#{heading}"
