"""ImFace's numbers: the table over unseen people, from scores of each of them.

The metrics are those of :mod:`facemill.metrics.geometry`; the target is the scan's height-field
sheet, as in the published evaluation. docs/metrics.md says what is as published and what is ours.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from facemill.errors import DataError
from facemill.files import read_json
from facemill.metrics.scores import read_scores
from facemill.metrics.tables import Row, as_markdown, summarise, write_table

log = logging.getLogger(__name__)


def table(scores: Sequence[str | Path], index: str | Path, out: str | Path) -> list[Row]:
    """Mean scores by method and split over all given score files, as a tidy CSV.

    Splits are "unseen people, seen expressions" and "unseen people, unseen expressions"; the
    sampling floor is a method of its own. The readable form goes to the log.
    """
    hint = "Delete it to have data_index make it again."
    content = read_json(index, hint)
    try:
        split = content["split"]
        known = {"test": set(split["test"]), "unseen_expressions": set(split["unseen_expressions"])}
    except (KeyError, TypeError) as error:
        raise DataError(f"{index}: no {error} where an index has it. {hint}") from None
    rows = summarise([score for path in scores for score in read_scores(path)], known)
    if not rows:
        raise DataError(
            f"{out}: {len(scores)} score files and no row; fit and evaluate people first."
        )
    write_table(out, rows)
    log.info("%s\n\n%s", out, as_markdown(rows))
    return rows
