"""What is seen of units: a box that holds every moved face."""

import numpy as np

from facemill.nfs.use_figures import LARGEST, box_of


def test_the_box_has_room_for_a_jaw_that_opens_but_not_for_shoulders():
    chin, brow, shoulder = [0.0, -1.0, 0.5], [0.0, 0.8, 0.6], [2.0, -3.0, 0.0]
    still = np.array([chin, brow, shoulder])
    offsets = np.zeros((2, 3, 3))
    offsets[1, 0, 1] = -0.3
    offsets[1, 2, 0] = 5.0
    np.testing.assert_allclose(box_of(still, offsets), [[0.0, -1.3, 0.5], [0.0, 0.8, 0.6]])
    assert (np.array(shoulder) < LARGEST[0]).any()
