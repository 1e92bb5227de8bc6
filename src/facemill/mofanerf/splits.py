"""What is held out of MoFaNeRF's training: views, pairs of person and expression, people.

People come from the index (one split for all systems). Views and pairs are drawn here by hashes of
their names, so that they keep their place when others come or go, and written once with a hash.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from facemill.data.expressions import NEUTRAL
from facemill.errors import ConfigError, DataError
from facemill.files import read_json
from facemill.mofanerf.config import CodesConfig
from facemill.randomness import derived_seed

HINT = "Delete it to have mofanerf_codes make it again."


@dataclass(frozen=True)
class ViewSplit:
    """Who and what is used for what. ``hash`` names the content, so that a change shows."""

    train_people: tuple[str, ...]
    test_people: tuple[str, ...]
    expressions: tuple[str, ...]  # in training, for everybody but the pairs below
    train_views: tuple[str, ...]
    test_views: tuple[str, ...]
    test_pairs: tuple[tuple[str, str], ...]  # (person, expression) of training people
    seed: int
    hash: str = ""

    def trains_on(self, person: str, expression: str) -> bool:
        """Whether images of this person with this expression belong to training."""
        known = person in self.train_people and expression in self.expressions
        return known and (person, expression) not in self.test_pairs


def make_view_split(
    train: Sequence[str],
    test: Sequence[str],
    expressions: Sequence[str],
    views: Sequence[str],
    present: Collection[tuple[str, str]],
    config: CodesConfig,
) -> ViewSplit:
    """Draw the held-out views and pairs.

    ``present`` are the (person, expression) pairs that were rendered. A view is held out only if
    training keeps its neighbours on both sides of its row (as long as such views are left): seen
    from beyond the last camera a head has parts that nobody was shown. A pair is held out only if
    its person keeps two expressions and the expression stays with half of its people; neutral
    faces always stay. Raises ConfigError when no view would be left to train on.
    """
    if config.held_out_views >= len(views):
        raise ConfigError(
            f"held_out_views: found {config.held_out_views} of {len(views)} rendered views; "
            "expected fewer, so that some remain for training (views.yaws, views.pitches)"
        )
    held = _held_out_views(views, config)
    candidates = [
        (person, expression)
        for person, expression in present
        if person in train and expression in expressions and expression != NEUTRAL
    ]
    candidates.sort(key=lambda pair: derived_seed(config.seed, "mofanerf", "pair", *pair))
    pairs: list[tuple[str, str]] = []
    for person, expression in candidates:
        own = sum(p == person for p, _ in present) - sum(p == person for p, _ in pairs)
        everybody = sum(e == expression and p in train for p, e in present)
        taken = sum(e == expression for _, e in pairs)
        free = own > 2 and 2 * (taken + 1) <= everybody
        if free and len(pairs) < config.held_out_pairs and person not in {p for p, _ in pairs}:
            pairs.append((person, expression))
    split = ViewSplit(
        tuple(train),
        tuple(test),
        tuple(expressions),
        tuple(view for view in views if view not in held),
        tuple(view for view in views if view in held),
        tuple(sorted(pairs)),
        config.seed,
    )
    return checked(replace(split, hash=content_hash(split)), "split")


def _held_out_views(views: Sequence[str], config: CodesConfig) -> set[str]:
    """Views in the order of their hashes, those between two training views first."""
    drawn = sorted(views, key=lambda view: derived_seed(config.seed, "mofanerf", "view", view))
    held: set[str] = set()
    for view in drawn:
        pitch, number = view.rsplit("_", 1)
        beside = {f"{pitch}_{int(number) + step}" for step in (-1, 1)}
        if len(held) < config.held_out_views and beside <= set(views) - held:
            held.add(view)
    others = [view for view in drawn if view not in held]
    return held | set(others[: config.held_out_views - len(held)])


def content_hash(split: ViewSplit) -> str:
    """Hash over everything in a split but the hash itself, 16 hexadecimal digits."""
    content = {key: value for key, value in asdict(split).items() if key != "hash"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def checked(split: ViewSplit, where: str) -> ViewSplit:
    """Return the split itself; a leak or another hash is a DataError."""
    for what, one, other in (
        ("people", split.train_people, split.test_people),
        ("views", split.train_views, split.test_views),
    ):
        if both := sorted(set(one) & set(other)):
            raise DataError(
                f"{where}: {what} {', '.join(both)} both in training and held out. {HINT}"
            )
    strangers = [p for p, _ in split.test_pairs if p not in split.train_people]
    if strangers:
        raise DataError(f"{where}: held-out pairs of {strangers}, who are not trained on. {HINT}")
    if split.hash != content_hash(split):
        raise DataError(
            f"{where}: hash {split.hash} does not belong to its content ({content_hash(split)}); "
            f"it was edited by hand or damaged. {HINT}"
        )
    return split


def read_view_split(path: str | Path) -> ViewSplit:
    """Read split.json back and check it for leaks."""
    content: Mapping[str, Any] = read_json(path, HINT)
    try:
        split = ViewSplit(
            **{
                key: tuple(tuple(v) if isinstance(v, list) else v for v in value)
                if isinstance(value, list)
                else value
                for key, value in content.items()
            }
        )
    except TypeError as error:
        raise DataError(f"{path}: not a split of views ({error}). {HINT}") from None
    return checked(split, str(path))
