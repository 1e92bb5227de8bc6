"""ImFace's numbers: tables over unseen people, from scores of each of them.

The metrics are those of :mod:`facemill.metrics.geometry`; the target is the scan's height-field
sheet, as in the published evaluation. docs/metrics.md says what is as published and what is ours.
Every table has a readable form, which goes to the log.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facemill.errors import DataError
from facemill.files import read_json
from facemill.metrics import bootstrap
from facemill.metrics.bootstrap import Interval, write_intervals
from facemill.metrics.readable import intervals_as_markdown, people_as_markdown
from facemill.metrics.scores import Score, read_scores
from facemill.metrics.tables import (
    PersonRow,
    Row,
    as_markdown,
    summarise,
    summarise_people,
    write_people,
    write_table,
)

log = logging.getLogger(__name__)


def table(scores: Sequence[str | Path], index: str | Path, out: str | Path) -> list[Row]:
    """Mean scores by method and split over all given score files, as a tidy CSV.

    Splits are "unseen people, seen expressions" and "unseen people, unseen expressions"; the
    sampling floor is a method of its own.
    """
    rows = summarise(*_scores_and_split(scores, index, out))
    write_table(out, rows)
    log.info("%s\n\n%s", out, as_markdown(rows))
    return rows


def people(scores: Sequence[str | Path], index: str | Path, out: str | Path) -> list[PersonRow]:
    """The same means for every person."""
    rows = summarise_people(*_scores_and_split(scores, index, out))
    write_people(out, rows)
    log.info("%s\n\n%s", out, people_as_markdown(rows))
    return rows


def intervals(
    scores: Sequence[str | Path], index: str | Path, out: str | Path, seed: int = 0
) -> list[Interval]:
    """The same means with 95 % bootstrap intervals over people, and differences from PCA."""
    rows = bootstrap.intervals(*_scores_and_split(scores, index, out), seed=seed)
    write_intervals(out, rows)
    log.info("%s\n\n%s", out, intervals_as_markdown(rows))
    return rows


def _scores_and_split(
    scores: Sequence[str | Path], index: str | Path, out: str | Path
) -> tuple[list[Score], dict[str, Any]]:
    """All rows of the score files, and who is a test person and which expressions are unseen."""
    hint = "Delete it to have data_index make it again."
    content = read_json(index, hint)
    try:
        split = content["split"]
        known = {"test": set(split["test"]), "unseen_expressions": set(split["unseen_expressions"])}
    except (KeyError, TypeError) as error:
        raise DataError(f"{index}: no {error} where an index has it. {hint}") from None
    rows = [score for path in scores for score in read_scores(path)]
    if not rows:
        raise DataError(
            f"{out}: {len(scores)} score files and no row; fit and evaluate people first."
        )
    return rows, known
