"""Splits: seeded, independent of order, without leaks."""

import dataclasses

import pytest

from facemill.data import facescape
from facemill.data.expressions import EXPRESSIONS
from facemill.data.splits import check_split, make_split, split_from_json
from facemill.errors import ConfigError, DataError

PEOPLE = [f"d{number:03d}" for number in range(1, 21)]
EXPRESSION_LIST = list(EXPRESSIONS)


def test_a_count_of_test_people_is_drawn_by_the_seed_whatever_the_order():
    split = make_split(PEOPLE, EXPRESSION_LIST, {"test_people": 5}, 0)
    again = make_split(PEOPLE[::-1], EXPRESSION_LIST, {"test_people": 5}, 0)
    assert split == again
    assert len(split.test) == 5 and len(split.train) == 15
    assert split.people == PEOPLE
    assert make_split(PEOPLE, EXPRESSION_LIST, {"test_people": 5}, 1).test != split.test


def test_people_keep_their_side_when_others_come():
    few = make_split(PEOPLE[:10], EXPRESSION_LIST, {"test_people": 3}, 0)
    more = make_split(PEOPLE, EXPRESSION_LIST, {"test_people": 20 - 1}, 0)
    # Whoever is drawn first among many comes in the same order among few.
    assert set(few.test) <= set(more.test)


def test_a_list_of_test_people_may_hold_numbers():
    people = ["1", "2", "10", "122"]
    split = make_split(people, EXPRESSION_LIST, {"test_people": [122, 2]}, 0)
    assert split.test == ("2", "122") and split.train == ("1", "10")


def test_unseen_expressions_are_left_out_for_everybody():
    settings = {"test_people": 1, "unseen_expressions": ["18_eye_closed", "5_jaw_left"]}
    split = make_split(PEOPLE, EXPRESSION_LIST, settings, 0)
    assert split.unseen_expressions == ("5_jaw_left", "18_eye_closed")
    assert len(split.seen_expressions) == 18


def test_imface_lists_are_the_published_ones():
    lists = facescape.imface_people()
    assert len(lists["train"]) == 355 and len(lists["test"]) == 10
    assert not set(lists["train"]) & set(lists["test"])
    assert set(lists["train"]) == {str(n) for n in range(1, 360)} - {"122", "212", "340", "344"}
    unseen = facescape.imface_unseen_expressions()
    assert [name.split("_")[0] for name in unseen] == ["5", "6", "8", "9", "18"]
    assert set(unseen) <= set(EXPRESSIONS)
    assert len(facescape.imface_plus_plus_test_people()) == 16
    assert set(facescape.publishable_people()) == set(lists["test"])


def test_the_imface_split_uses_who_is_there_and_leaves_others_out():
    people = ["1", "3", "122", "359", "360", "594", "847"]
    settings = {"test_people": "imface", "unseen_expressions": "imface"}
    split = make_split(people, EXPRESSION_LIST, settings, 0)
    assert split.train == ("1", "3", "359") and split.test == ("122", "594")
    assert len(split.unseen_expressions) == 5
    with pytest.raises(DataError, match="published lists"):
        make_split(PEOPLE, EXPRESSION_LIST, settings, 0)


@pytest.mark.parametrize(
    ("people", "settings", "says"),
    [
        (PEOPLE, {"test_people": 20}, "leave nobody to train on"),
        (PEOPLE, {"test_people": ["d0001"]}, "did you mean d001"),
        (PEOPLE, {"test_people": PEOPLE}, "nobody is left"),
        (PEOPLE, {"test_people": ["d001", "d001"]}, "d001 more than once"),
        (["d001", "d001"], {"test_people": 1}, "d001 more than once"),
    ],
)
def test_a_split_that_cannot_be_is_refused(people, settings, says):
    with pytest.raises((ConfigError, DataError), match=says):
        make_split(people, EXPRESSION_LIST, settings, 0)


def test_an_id_in_two_splits_is_an_error():
    split = make_split(PEOPLE, EXPRESSION_LIST, {"test_people": 5}, 0)
    leaking = dataclasses.replace(split, train=(*split.train, split.test[0]))
    with pytest.raises(DataError, match=f"{split.test[0]} in both train and test"):
        check_split(leaking)
    leaking = dataclasses.replace(split, unseen_expressions=("2_smile",))
    with pytest.raises(DataError, match="2_smile in both seen_expressions"):
        check_split(leaking)


def test_a_split_comes_back_from_json_and_a_changed_one_is_noticed():
    split = make_split(PEOPLE, EXPRESSION_LIST, {"test_people": 5}, 0)
    content = split.as_json()
    assert split_from_json(content, "index.json") == split
    content["train"] = content["train"][1:]
    with pytest.raises(DataError, match=r"index\.json: hash"):
        split_from_json(content, "index.json")
    del content["seed"]
    with pytest.raises(DataError, match="seed"):
        split_from_json(content, "index.json")
