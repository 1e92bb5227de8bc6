"""What was measured during training, one CSV row at a time."""

import csv
from collections.abc import Mapping
from pathlib import Path

from facemill.files import writing


class History:
    """A CSV that grows while training runs and survives being killed at any byte.

    The first column is ``step``. Opened again by a resumed run it keeps the rows up to
    ``resumed_step`` and drops later ones and half lines: those steps will be done again.
    """

    def __init__(self, path: str | Path, columns: list[str], resumed_step: int = 0) -> None:
        self.path = Path(path)
        self.columns = ["step", *columns]
        rows = [row for row in self._rows() if int(row[0]) <= resumed_step]
        with writing(self.path) as part, open(part, "w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([self.columns, *rows])

    def append(self, step: int, values: Mapping[str, float]) -> None:
        """Add the row of ``step``; ``values`` by column name."""
        row = [step, *[f"{values[name]:.6g}" for name in self.columns[1:]]]
        with open(self.path, "a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerow(row)

    def text(self) -> str:
        """The whole file."""
        return self.path.read_text(encoding="utf-8")

    def _rows(self) -> list[list[str]]:
        """Whole rows of an earlier run with the same columns."""
        if not self.path.is_file():
            return []
        lines = self.text().split("\n")[:-1]  # what follows the last line end is half a line
        if not lines or lines[0] != ",".join(self.columns):
            return []
        rows = csv.reader(lines[1:])
        return [row for row in rows if len(row) == len(self.columns) and row[0].isdigit()]
