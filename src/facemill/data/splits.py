"""Who and what is kept out of training; seeded, and independent of the order of lists."""

import difflib
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facemill.data import facescape
from facemill.data.tree import in_order, natural
from facemill.errors import ConfigError, DataError
from facemill.randomness import derived_seed

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Split:
    """People and expressions by use. ``hash`` names the content, so that a change shows.

    ``test`` people are left out of training altogether, ``unseen_expressions`` for everybody.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    seen_expressions: tuple[str, ...]
    unseen_expressions: tuple[str, ...]
    seed: int
    hash: str

    @property
    def people(self) -> list[str]:
        """Everybody in the split, numbers sorted as numbers."""
        return in_order([*self.train, *self.test])

    def of(self, person: str) -> str:
        """``train`` or ``test``."""
        return "test" if person in self.test else "train"

    def as_json(self) -> dict[str, Any]:
        """The form kept in index.json."""
        return {
            "seed": self.seed,
            "train": list(self.train),
            "test": list(self.test),
            "seen_expressions": list(self.seen_expressions),
            "unseen_expressions": list(self.unseen_expressions),
            "hash": self.hash,
        }


def make_split(
    people: Sequence[str], expressions: Sequence[str], settings: Mapping[str, Any], seed: int
) -> Split:
    """Divide people into train and test, expressions into seen and unseen.

    ``settings`` is the config's ``split``: ``test_people`` a count (drawn by a hash of seed and
    name, so that people keep their place when others come or go), a list of names, or "imface"
    for the published lists, of which those present in ``people`` are used and all others left
    out; ``unseen_expressions`` a list of names or "imface".
    """
    names = [str(person) for person in people]
    _refuse_repeated("people", names)
    test_people = settings.get("test_people", 0)
    train, test = _divided(names, test_people, seed)
    unseen = settings.get("unseen_expressions") or []
    unseen = list(facescape.imface_unseen_expressions()) if unseen == "imface" else list(unseen)
    for expression in unseen:
        if expression not in expressions:
            # Leaving out what is not there anyway harms nobody; presets share such lists.
            log.info("split.unseen_expressions: %s is not among the expressions used", expression)
    split = Split(
        train=tuple(sorted(train, key=natural)),
        test=tuple(sorted(test, key=natural)),
        seen_expressions=tuple(e for e in expressions if e not in unseen),
        unseen_expressions=tuple(e for e in expressions if e in unseen),
        seed=int(seed),
        hash="",
    )
    split = Split(**{**split.__dict__, "hash": content_hash(split)})
    return check_split(split)


def _divided(people: list[str], test_people: Any, seed: int) -> tuple[list[str], list[str]]:
    if test_people == "imface":
        published = facescape.imface_people()
        test = [person for person in people if person in published["test"]]
        train = [person for person in people if person in published["train"]]
        if not train or not test:
            raise DataError(
                f"split.test_people: imface: {len(train)} training and {len(test)} test people of "
                "the published lists are among the people used, both must be there. The lists hold "
                "FaceScape's numbers; give a count or a list of names for other data."
            )
        return train, test
    if isinstance(test_people, int):
        if not 0 <= test_people < len(people):
            raise ConfigError(
                f"split.test_people: {test_people} of {len(people)} people leave nobody to train "
                "on; expected a smaller count, or more people."
            )
        drawn = sorted(people, key=lambda person: derived_seed(seed, "split", person))
        return drawn[test_people:], drawn[:test_people]
    test = [str(person) for person in test_people]
    _refuse_repeated("split.test_people", test)
    for person in test:
        if person not in people:
            near = difflib.get_close_matches(person, people, n=3)
            raise ConfigError(
                f"split.test_people: {person} is not among the {len(people)} people used"
                + (f"; did you mean {', '.join(near)}?" if near else ".")
            )
    train = [person for person in people if person not in test]
    if not train:
        raise ConfigError("split.test_people names everybody; nobody is left to train on.")
    return train, test


def _refuse_repeated(where: str, names: Sequence[str]) -> None:
    repeated = in_order(name for name in names if names.count(name) > 1)
    if repeated:
        raise DataError(f"{where}: {', '.join(repeated)} more than once; list everybody once.")


def content_hash(split: Split) -> str:
    """Hash over everything in a split but the hash itself, 16 hexadecimal digits."""
    content = {key: value for key, value in split.as_json().items() if key != "hash"}
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_split(split: Split, where: str = "split") -> Split:
    """Return the split itself; a leak (somebody on both sides) or another hash is an error."""
    for what, one, other, first, second in (
        ("people", split.train, split.test, "train", "test"),
        (
            "expressions",
            split.seen_expressions,
            split.unseen_expressions,
            "seen_expressions",
            "unseen_expressions",
        ),
    ):
        both = in_order(set(one) & set(other))
        if both:
            raise DataError(
                f"{where}: {what} {', '.join(both)} in both {first} and {second}, which leaks test "
                "data into training. Take them out of one list."
            )
        _refuse_repeated(f"{where}.{first}", one)
        _refuse_repeated(f"{where}.{second}", other)
    if split.hash != content_hash(split):
        raise DataError(
            f"{where}: hash {split.hash} does not belong to its content ({content_hash(split)}); "
            "it was edited by hand or damaged. Delete the file to have it made again."
        )
    return split


def split_from_json(content: Mapping[str, Any], where: str) -> Split:
    """Read back :meth:`Split.as_json` and check it for leaks; ``where`` names the file."""
    try:
        lists = ("train", "test", "seen_expressions", "unseen_expressions")
        split = Split(
            **{key: tuple(content[key]) for key in lists},
            seed=int(content["seed"]),
            hash=str(content["hash"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{where}: its split lacks or misstates {error}. Delete the file to have it made again."
        ) from None
    return check_split(split, where)
