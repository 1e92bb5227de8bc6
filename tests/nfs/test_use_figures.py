"""What is seen of units: those that differ most, in a box that holds every moved face."""

from dataclasses import replace

import numpy as np

from facemill.nfs.figures import strongest_units
from facemill.nfs.people import read_people
from facemill.nfs.use_figures import LARGEST, box_of


def test_the_box_has_room_for_a_jaw_that_opens_but_not_for_shoulders():
    chin, brow, shoulder = [0.0, -1.0, 0.5], [0.0, 0.8, 0.6], [2.0, -3.0, 0.0]
    still = np.array([chin, brow, shoulder])
    offsets = np.zeros((2, 3, 3))
    offsets[1, 0, 1] = -0.3
    offsets[1, 2, 0] = 5.0
    np.testing.assert_allclose(box_of(still, offsets), [[0.0, -1.3, 0.5], [0.0, 0.8, 0.6]])
    assert (np.array(shoulder) < LARGEST[0]).any()


def test_units_that_are_shown_are_unlike_each_other(people):
    """Not one that is nearly the strongest's twin, nor one that is no expression by itself."""
    labelled = read_people(people / "people.npz")
    model = labelled.model
    expression, units = model.expression.copy(), list(model.units)
    big = int(np.argmax((expression**2).sum(axis=(1, 2))))
    twin, closing = (big + 1) % len(units), (big + 2) % len(units)
    expression[twin] = 0.95 * expression[big]
    expression[closing] *= 5.0
    units[closing] = "mouthClose"
    model = replace(model, expression=expression, units=tuple(units))
    shown = strongest_units(replace(labelled, model=model), 4).any(axis=0)
    assert shown[big] and not shown[twin] and not shown[closing]
