"""Demo expressions: jaw on its circle, lids on the ball, lips and brows where they belong."""

import numpy as np
import pytest

from facemill.data import demo
from facemill.data.demo.cage import ROWS
from facemill.data.demo.expression import draw_recipe, express
from facemill.data.demo.heads import neutral_person
from facemill.data.demo.recipes import RECIPES
from facemill.data.demo.sculpt import mean_head
from facemill.data.demo.weights import weights
from facemill.data.expressions import EXPRESSIONS
from facemill.errors import ConfigError

PERSON, SEED = "d002", 0


@pytest.fixture(scope="module")
def person():
    return neutral_person(PERSON, SEED)


@pytest.fixture(scope="module")
def landmarks():
    return demo.topology().landmarks


def test_all_twenty_expressions_and_no_other():
    assert tuple(RECIPES) == EXPRESSIONS
    with pytest.raises(ConfigError, match="21_wink"):
        demo.head(PERSON, "21_wink", SEED)


@pytest.mark.parametrize("expression", EXPRESSIONS[1:])
def test_expressions_are_finite_repeatable_and_visible(person, expression):
    vertices = demo.head(PERSON, expression, SEED)
    assert np.isfinite(vertices).all()
    assert vertices.tobytes() == demo.head(PERSON, expression, SEED).tobytes()
    face = demo.topology().regions["face"]
    moved = np.linalg.norm(vertices - person.vertices, axis=1)[face].max()
    assert 2.5 < moved < 60


def test_jaw_points_move_on_a_circle_about_the_hinge(person):
    chin = mean_head().grid.at(0, ROWS["chin"])
    assert weights().jaw[chin] == pytest.approx(1.0, abs=1e-3)
    hinge = person.hinge.mean(axis=0)[1:]
    start = person.vertices[chin, 1:] - hinge
    for degrees in (5.0, 15.0, 25.0):
        opened = express(person, {"jaw_open": degrees})[chin, 1:] - hinge
        assert np.linalg.norm(opened) == pytest.approx(np.linalg.norm(start), abs=1e-9)
        turned = np.degrees(np.arctan2(start[0], start[1]) - np.arctan2(opened[0], opened[1]))
        assert turned == pytest.approx(degrees * weights().jaw[chin], abs=1e-6)


def test_opening_parts_the_lips_and_leaves_the_upper_face(person, landmarks):
    opened = express(person, {"jaw_open": 20.0})[landmarks]
    rest = person.vertices[landmarks]
    assert (opened[62, 1] - opened[66, 1]) - (rest[62, 1] - rest[66, 1]) > 20
    upper = np.r_[17:36, 36:48]
    assert np.abs(opened[upper] - rest[upper]).max() < 0.5


def test_closed_lids_meet_on_the_ball(person, landmarks):
    vertices = demo.head(PERSON, "18_eye_closed", SEED)
    points = vertices[landmarks]
    for upper, lower in ((43, 47), (44, 46), (37, 41), (38, 40)):
        assert abs(points[upper, 1] - points[lower, 1]) < 0.6
    lids = np.intersect1d(demo.topology().regions["lids"], demo.topology().regions["face"])
    for centre in person.eye_centres:
        distance = np.linalg.norm(vertices[lids] - centre, axis=1)
        assert distance.min() > person.eye_radius


def test_lids_slide_at_a_constant_distance(person):
    upper = mean_head().grid.left_eye.upper[5]
    for close in (0.2, 0.6, 0.9):
        moved = express(person, {"close": close})[upper] - person.eye_centres[0]
        rest = person.vertices[upper] - person.eye_centres[0]
        assert np.linalg.norm(moved) == pytest.approx(np.linalg.norm(rest), abs=1e-9)


def test_each_expression_goes_its_way(person, landmarks):
    rest = person.vertices[landmarks]
    move = {name: demo.head(PERSON, name, SEED)[landmarks] - rest for name in EXPRESSIONS}
    corners = [48, 54]
    brows = np.r_[17:27]
    assert (move["2_smile"][corners, 1] > 2).all()
    assert move["2_smile"][54, 0] > 2 and move["2_smile"][48, 0] < -2
    assert move["5_jaw_left"][8, 0] > 4 and move["6_jaw_right"][8, 0] < -4
    assert move["7_jaw_forward"][8, 2] > 3
    assert move["8_mouth_left"][57, 0] > 3 and move["9_mouth_right"][57, 0] < -3
    assert move["12_lip_puckerer"][54, 0] < -3 and move["12_lip_puckerer"][51, 2] > 2
    assert move["13_lip_funneler"][62, 1] - move["13_lip_funneler"][66, 1] > 5
    assert (move["14_sadness"][corners, 1] < -2).all()
    assert move["19_brow_raiser"][brows, 1].mean() > 2
    assert move["20_brow_lower"][brows, 1].mean() < -1.5
    assert move["10_dimpler"][54, 0] > 1.5


def test_cheeks_blow_outwards(person):
    blown = demo.head(PERSON, "17_cheek_blowing", SEED)
    cheek = int(np.argmax(weights().blow * (mean_head().vertices[:, 0] > 0)))
    assert blown[cheek, 0] - person.vertices[cheek, 0] > 2


def test_expression_depends_on_the_face_that_does_it():
    """No fixed set of offsets: they differ between people and are not linear in the strength."""
    one, other = neutral_person("d002", 0), neutral_person("d005", 0)
    recipe = {"jaw_open": 20.0, "corner_out": 8.0}
    difference = (express(one, recipe) - one.vertices) - (express(other, recipe) - other.vertices)
    assert np.linalg.norm(difference, axis=1).max() > 0.5
    half = {"jaw_open": 10.0, "corner_out": 4.0}
    double = 2 * (express(one, half) - one.vertices) - (express(one, recipe) - one.vertices)
    assert np.linalg.norm(double, axis=1).max() > 0.5


def test_strength_varies_between_people():
    strengths = {draw_recipe(f"d{k:03d}", "2_smile", 0)["corner_up"] for k in range(1, 6)}
    assert len(strengths) == 5
    assert draw_recipe("d001", "2_smile", 0) == draw_recipe("d001", "2_smile", 0)
