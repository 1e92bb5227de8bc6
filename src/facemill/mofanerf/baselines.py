"""What a radiance field has to beat: the mean face, the nearest training view, a textured mesh."""

import numpy as np
from jaxtyping import Float32, UInt8

from facemill.mesh.surface import Mesh
from facemill.mofanerf.face_model import CodesFile, FaceModel
from facemill.mofanerf.splits import ViewSplit
from facemill.render.cameras import Camera
from facemill.render.mesh_view import MeshView
from facemill.render.view_pack import ViewPack

Picture = Float32[np.ndarray, "h w 3"]


def over_black(image: UInt8[np.ndarray, "h w 4"]) -> Picture:
    """Colours in [0, 1], black where the mask is off."""
    return image[..., :3].astype(np.float32) / 255.0 * (image[..., 3:] > 0)


def textured_mesh(mesh: Mesh, texture: UInt8[np.ndarray, "t t 3"], camera: Camera) -> Picture:
    """A mesh with a texture, as the views themselves are rendered."""
    return over_black(MeshView(mesh, texture, camera).render(camera)[0])


def mean_texture(codes: CodesFile, split: ViewSplit) -> UInt8[np.ndarray, "512 512 3"]:
    """Mean of the training people's textures."""
    total = sum(codes.texture(person).astype(np.float64) for person in split.train_people)
    return np.round(total / len(split.train_people)).astype(np.uint8)


def mean_mesh(model: FaceModel, expression: int) -> Mesh:
    """The mean training person with an expression."""
    return model.predict(np.zeros(len(model.basis)), expression)


def nearest_training_view(
    packs: dict[str, ViewPack],
    split: ViewSplit,
    shapes: dict[str, np.ndarray],
    person: str,
    expression: str,
    view: str,
) -> Picture:
    """The training image that memory would show, warped by nothing.

    The camera nearest by direction; the same person, or the training person with the nearest shape
    code; the same expression, or the neutral face where that pair was held out.
    """
    known = [p for p in split.train_people if p in packs]
    who = min(known, key=lambda p: float(np.linalg.norm(shapes[p] - shapes[person])))
    shown = expression if split.trains_on(who, expression) else split.expressions[0]
    shown = shown if shown in packs[who].expressions else packs[who].expressions[0]
    axis = packs[who].camera(view).extrinsics[2, :3]
    nearest = max(
        split.train_views, key=lambda name: float(packs[who].camera(name).extrinsics[2, :3] @ axis)
    )
    return over_black(packs[who].image(shown, nearest))
