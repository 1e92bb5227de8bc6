"""A person's face in motion: jaw, lips, cheeks, brows and lids along their real paths.

Actions follow one another on the person's own shape, so what an expression does depends on the
face that does it; none of them is a fixed set of offsets.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from facemill.data.demo.cage import ROWS
from facemill.data.demo.grid import MOUTH_CORNER
from facemill.data.demo.identity import Person, vertex_normals
from facemill.data.demo.lids import eye_zone, move_lids
from facemill.data.demo.recipes import RECIPES
from facemill.data.demo.sculpt import mean_head
from facemill.data.demo.weights import weights
from facemill.randomness import generator


def draw_recipe(person: str, expression: str, seed: int) -> dict[str, float]:
    """The expression's actions as this person does them: overall strength and habit vary."""
    rng = generator(seed, "demo", "expression", person, expression)
    strength = float(np.clip(1 + 0.16 * rng.standard_normal(), 0.65, 1.35))
    recipe = {
        action: amount * float(np.clip(strength * (1 + 0.12 * rng.standard_normal()), 0.5, 1.5))
        for action, amount in RECIPES[expression].items()
    }
    if RECIPES[expression].get("close", 0) == 1.0:
        recipe["close"] = 1.0
    return recipe


def express(person: Person, recipe: Mapping[str, float]) -> Float[np.ndarray, "v 3"]:
    """Vertices of the person doing what the recipe says, mm."""
    vertices = person.vertices.copy()
    if not recipe:
        return vertices
    amount = _Amounts(recipe)
    _inflate(vertices, amount)
    _move_brows(vertices, amount)
    _shape_lips(vertices, amount)
    _move_corners(vertices, amount)
    _turn_jaw(vertices, person, amount)
    move_lids(
        vertices, eye_zone(), person.eye_centres, float(np.clip(amount("close"), -0.3, 1.0)),
        float(np.clip(amount("squint"), 0, 0.5)),
    )  # fmt: skip
    return vertices


class _Amounts:
    """A recipe that answers 0 for actions it does not name."""

    def __init__(self, recipe: Mapping[str, float]) -> None:
        self.recipe = recipe

    def __call__(self, action: str) -> float:
        return self.recipe.get(action, 0.0)


def _turn(points: np.ndarray, axes: tuple[int, int], centre: np.ndarray, angle: np.ndarray) -> None:
    """Rotate each point by its own angle (rad) in the plane of two axes, in place."""
    i, j = axes
    a, b = points[:, i] - centre[i], points[:, j] - centre[j]
    cos, sin = np.cos(angle), np.sin(angle)
    points[:, i] = centre[i] + cos * a - sin * b
    points[:, j] = centre[j] + sin * a + cos * b


def _turn_jaw(vertices: np.ndarray, person: Person, amount: _Amounts) -> None:
    """Opening turns about the axis through the condyles; sideways turns about the upright through
    their middle; forwards lets both condyles glide down the joint's slope."""
    share = weights().jaw
    hinge = person.hinge.mean(axis=0)
    if amount("jaw_side"):
        reach = person.vertices[mean_head().grid.at(0, ROWS["chin"]), 2] - hinge[2]
        _turn(vertices, (2, 0), hinge, share * amount("jaw_side") / reach)
    if amount("jaw_forward"):
        vertices += (share * amount("jaw_forward"))[:, None] * [0, -0.25, 0.97]
    if amount("jaw_open"):
        _turn(vertices, (2, 1), hinge, -share * np.radians(amount("jaw_open")))


def _inflate(vertices: np.ndarray, amount: _Amounts) -> None:
    """Cheeks and chin along their own normals."""
    w = weights()
    height = amount("blow") * w.blow - amount("cheek_suck") * w.suck - amount("dimple") * w.dimple
    height = height + 0.25 * amount("blow") * w.mouth
    if np.any(height):
        vertices += height[:, None] * vertex_normals(vertices, mean_head().grid.faces)
    up = amount("chin_raise")
    if up:
        vertices += (up * w.chin)[:, None] * [0, 1.0, 0.25]
        vertices += (0.55 * up * w.lower_lip + 0.35 * up * w.upper_lip)[:, None] * [0, 1.0, 0.45]


def _move_brows(vertices: np.ndarray, amount: _Amounts) -> None:
    """Brows slide over the forehead's curve; the nose wrinkles between them."""
    w = weights()
    lift = amount("brow_inner") * w.brow_inner + amount("brow_outer") * w.brow_outer
    if np.any(lift):
        centre = np.array([0.0, 5.0, 30.0])
        _turn(vertices, (2, 1), centre, lift / 66.0)
        vertices[:, 2] += np.where(lift < 0, -0.18 * lift, -0.05 * lift) * w.brow_inner
    together = amount("brow_together")
    if together:
        inner = w.brow_inner * np.exp(-(((vertices[:, 1] - 22) / 14) ** 2))
        vertices[:, 0] -= together * inner * np.tanh(vertices[:, 0] / 12.0)
        vertices[:, 2] += 0.3 * together * inner
    wrinkle = amount("nose_wrinkle")
    if wrinkle:
        vertices += (wrinkle * w.wings)[:, None] * [0, 0.8, 0]
        vertices[:, 0] += 0.4 * wrinkle * w.wings * w.side


def _shape_lips(vertices: np.ndarray, amount: _Amounts) -> None:
    """Roll, pucker, funnel and part the lips."""
    w = weights()
    grid = mean_head().grid
    pucker, funnel = amount("pucker"), amount("funnel")
    if amount("roll"):
        _roll_lips(vertices, amount("roll"))
    if amount("thin"):
        # Drawn tight, the red of the lips lies flatter and closer to the teeth.
        vertices[:, 2] -= 1.6 * amount("thin") * w.lips
    if pucker:
        corner = vertices[grid.at(MOUTH_CORNER, ROWS["mouth"])]
        middle = vertices[grid.at(0, ROWS["mouth"])]
        round_ = np.exp(-((vertices[:, 0] / corner[0]) ** 2) * 0.7)
        vertices[:, 0] *= 1 - pucker * (0.24 * w.mouth + 0.20 * w.mouth * w.lips)
        vertices[:, 2] += pucker * w.mouth * (2.2 + 5.5 * round_)
        vertices[:, 1] += pucker * 0.22 * w.lips * w.mouth * (vertices[:, 1] - middle[1])
    if funnel:
        vertices += (funnel * w.upper_lip)[:, None] * [0, 3.2, 3.0]
        vertices += (funnel * w.lower_lip)[:, None] * [0, -3.4, 3.4]
    if amount("lips_out"):
        vertices[:, 2] += amount("lips_out") * w.mouth * (0.4 + 0.6 * w.lips)
    vertices += (amount("part_upper") * w.upper_lip)[:, None] * [0, 1.0, -0.25]
    vertices += (amount("part_lower") * w.lower_lip)[:, None] * [0, -1.0, -0.25]


def _roll_lips(vertices: np.ndarray, roll: float) -> None:
    """Turn each lip about the line under its border until the red lies between the teeth."""
    grid = mean_head().grid
    share = weights().roll
    before = vertices.copy()
    columns = np.arange(-MOUTH_CORNER + 1, MOUTH_CORNER)
    mouth = ROWS["mouth"]
    for border, sign in ((ROWS["upper_lip"], 1.0), (ROWS["lower_lip"], -1.0)):
        rows = np.arange(mouth, border + 4) if sign > 0 else np.arange(border - 3, mouth + 1)
        numbers = np.array(
            [[grid.at(int(c), int(r), upper=sign > 0) for c in columns] for r in rows]
        )
        pivot = before[[grid.at(int(c), border) for c in columns]] - [0, 0, 2.0]
        offset = before[numbers] - pivot
        angle = sign * np.radians(62) * roll * share[numbers]
        y = np.cos(angle) * offset[..., 1] - np.sin(angle) * offset[..., 2]
        z = np.sin(angle) * offset[..., 1] + np.cos(angle) * offset[..., 2]
        moved = np.stack([offset[..., 0], y, z], axis=-1) + pivot
        vertices[numbers] = moved
        gap = (before[numbers] - moved)[0 if sign > 0 else -1, :, 1]
        # The lips stay closed: what turning lifts off the mouth line is pressed back.
        vertices[numbers, 1] += gap * np.minimum(1, share[numbers] * 1.4)
    edge = grid.mouth.vertices
    shift = vertices[edge] - before[edge]
    for ring, keep in zip(grid.mouth.rings, (1.0, 0.9, 0.6, 0.2, 0.0), strict=True):
        vertices[ring] += keep * shift


def _move_corners(vertices: np.ndarray, amount: _Amounts) -> None:
    """Corners slide along the cylinder of the teeth; cheeks follow up and out; or all aside."""
    w = weights()
    centre = np.array([0.0, 0.0, 56.0])
    out = amount("corner_out") * w.corner
    if amount("corner_out"):
        _turn(vertices, (2, 0), centre, w.side * out / 45.0)
        vertices[:, 2] -= 0.22 * out
    up = (
        amount("corner_up")
        + amount("corner_up_left") * w.left
        + amount("corner_up_right") * (1 - w.left)
    ) * w.corner
    vertices[:, 1] += up
    raise_ = amount("cheek_raise") * w.cheek
    if amount("cheek_raise"):
        vertices += raise_[:, None] * [0, 0.75, 0.45]
        vertices[:, 0] += 0.35 * raise_ * w.side
    if amount("mouth_side"):
        _turn(vertices, (2, 0), centre, amount("mouth_side") * w.mouth / 48.0)
