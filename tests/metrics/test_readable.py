import pytest

from facemill.errors import DataError
from facemill.metrics.bootstrap import Interval, write_intervals
from facemill.metrics.readable import intervals_as_markdown, people_as_markdown, readable
from facemill.metrics.scores import Score
from facemill.metrics.tables import (
    FLOOR,
    PersonRow,
    Row,
    read_people,
    summarise_people,
    write_people,
    write_table,
)

SPLIT = {"test": {"t1", "t2"}, "unseen_expressions": {"6_jaw_right"}}
METRIC = "point_to_surface_mean"
NAN = float("nan")


def person_row(method="se3", person="t1", value=1.0, metric=METRIC, system="imface"):
    return PersonRow(system, method, person, "s", metric, "mm", value, 3)


def interval(method="se3", value=0.5, low=0.4, high=0.6, system="imface"):
    return Interval(system, method, "s", METRIC, "mm", value, low, high, 4)


def test_people_have_the_means_of_their_own_scans():
    def score(person, expression, value):
        return Score("imface", "se3", person, expression, METRIC, "mm", value)

    rows = summarise_people(
        [score("t1", "1_n", 1.0), score("t1", "2_s", 2.0), score("t2", "1_n", 5.0),
         score("t1", "6_jaw_right", 9.0)],
        SPLIT,
    )  # fmt: skip
    seen = {r.person: (r.value, r.n) for r in rows if r.split.endswith(" seen expressions")}
    assert seen == {"t1": (1.5, 2), "t2": (5.0, 1)}
    assert [(r.value, r.n) for r in rows if r.split.endswith("unseen expressions")] == [(9.0, 1)]


def test_tables_of_people_are_written_and_read_back(tmp_path):
    rows = [person_row(), person_row("pca", value=0.5, system="baselines")]
    write_people(tmp_path / "p.csv", rows)
    assert read_people(tmp_path / "p.csv") == rows
    assert "| t1 " in readable(tmp_path / "p.csv")


def test_people_are_lines_and_methods_columns_and_the_best_of_a_line_is_bold():
    text = people_as_markdown(
        [person_row(value=1.0), person_row("pca", value=2.0, system="baselines"),
         person_row(person="t2", value=4.0), person_row("pca", "t2", 3.0, system="baselines"),
         person_row(FLOOR, value=0.1, system="data")]
    )  # fmt: skip
    title, _, head, _, first, second = text.splitlines()
    assert title == "**s: point to surface mean [mm]**"
    assert head.split() == ["|", "person", "|", "imface", "se3", "|", "pca", "|", "n", "|"]
    assert "**1.000**" in first and "**2.000**" not in first
    assert "**3.000**" in second and "**4.000**" not in second


def test_a_difference_is_bold_where_its_interval_leaves_zero_out():
    text = intervals_as_markdown(
        [interval("se3 - pca", -0.1, -0.2, -0.05), interval("flat - pca", -0.1, -0.2, 0.05),
         interval(), interval("alone", 0.5, NAN, NAN)]
    )  # fmt: skip
    assert "**-0.100 [-0.200, -0.050]**" in text
    assert "**-0.100 [-0.200, 0.050]**" not in text
    assert "| 0.500 [0.400, 0.600] " in text
    assert "nan" not in text
    assert text.splitlines()[4].startswith("| imface se3 "), "methods before differences"


def test_a_table_is_known_by_its_columns(tmp_path):
    write_intervals(tmp_path / "i.csv", [interval()])
    assert "[0.400, 0.600]" in readable(tmp_path / "i.csv")
    write_table(tmp_path / "t.csv", [Row("imface", "se3", "s", METRIC, "mm", 0.5, 4)])
    assert "**0.500**" in readable(tmp_path / "t.csv")
    (tmp_path / "x.csv").write_text("a,b\n")
    with pytest.raises(DataError, match=r"x\.csv: columns"):
        readable(tmp_path / "x.csv")
