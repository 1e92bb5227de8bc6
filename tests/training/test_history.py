"""The history keeps what the resumed run will not do again, whatever byte it was killed at."""

from facemill.training.history import History


def test_rows_after_the_checkpoint_and_half_lines_are_dropped(tmp_path):
    path = tmp_path / "history.csv"
    first = History(path, ["loss"])
    for step in (10, 20, 30):
        first.append(step, {"loss": step / 3})
    path.write_text(path.read_text() + "40,1.3")
    History(path, ["loss"], resumed_step=20).append(30, {"loss": 5.0})
    assert path.read_text() == "step,loss\n10,3.33333\n20,6.66667\n30,5\n"


def test_a_history_of_other_columns_is_replaced(tmp_path):
    path = tmp_path / "history.csv"
    History(path, ["loss"]).append(10, {"loss": 1.0})
    assert History(path, ["a", "b"], resumed_step=50).text() == "step,a,b\n"
