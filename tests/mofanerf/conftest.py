"""Views of two demo people, rendered once, and an index that knows them."""

from dataclasses import replace
from pathlib import Path

import pytest
from rendered_heads import render_views

from facemill.data.splits import Split, content_hash
from facemill.files import write_json

SIZE = 64


@pytest.fixture(scope="session")
def views(tmp_path_factory) -> dict[str, Path]:
    """View packs by person."""
    folder = tmp_path_factory.mktemp("Ansichten zweier")
    return {person: render_views(folder, person, SIZE) for person in ("d001", "d002")}


@pytest.fixture(scope="session")
def index(tmp_path_factory) -> Path:
    """An index in which d001 is trained on and d002 is not."""
    split = Split(("d001",), ("d002",), ("1_neutral",), (), seed=0, hash="")
    split = replace(split, hash=content_hash(split)).as_json()
    path = tmp_path_factory.mktemp("index") / "index.json"
    write_json(
        path, {"dataset": "demo", "expressions": ["1_neutral"], "people": {}, "split": split}
    )
    return path
