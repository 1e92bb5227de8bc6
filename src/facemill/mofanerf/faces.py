"""Trained weights and codes together: whoever and whatever is wanted, ready to be rendered."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32

from facemill.errors import DataError
from facemill.files import sha256
from facemill.mesh.surface import Mesh
from facemill.mofanerf.canonical import Conditioned
from facemill.mofanerf.config import SamplingConfig
from facemill.mofanerf.face_model import CodesFile
from facemill.mofanerf.model import Codes, load_model
from facemill.mofanerf.render import Image, render_image
from facemill.mofanerf.surface import expected_depth
from facemill.render.cameras import Camera


@dataclass(frozen=True)
class FaceCodes:
    """The numbers that draw one face.

    ``mix`` weighs the trained expressions in the predicted surface, round which rays are sampled;
    the field itself hears ``expression`` (not yet modulated) alone.
    """

    shape: Float32[np.ndarray, "50"]
    expression: Float32[np.ndarray, " e"]
    appearance: Float32[np.ndarray, " a"]
    mix: Float32[np.ndarray, " n"]


class Faces:
    """A model and the codes it was trained with. Nothing here is fitted to an image."""

    def __init__(self, model: str | Path, codes: str | Path, device: torch.device) -> None:
        self.codes = CodesFile(codes)
        self.checksums = {"model": sha256(model), "codes": sha256(codes)}
        self.model, metadata = load_model(model, self.checksums["codes"])
        self.model.to(device)
        self.device = device
        self.expressions: tuple[str, ...] = tuple(metadata["expressions"])
        self.train_people: tuple[str, ...] = tuple(metadata["people"])
        self.surfaces = self.codes.model()

    def row(self, expression: str) -> int:
        """The number of an expression's learned code; an unknown one is a DataError."""
        if expression not in self.expressions:
            raise DataError(
                f"{self.codes.path}: no code for {expression}; the model was trained on "
                f"{', '.join(self.expressions)}."
            )
        return self.expressions.index(expression)

    @torch.no_grad()
    def appearance(self, person: str) -> Float[torch.Tensor, "1 a"]:
        """A person's appearance code: what the texture network makes of the person's texture.

        Where training people have free codes, theirs, and for everybody else the mean of these.
        """
        texture = torch.from_numpy(self.codes.texture(person)).to(self.device)
        known = person in self.train_people
        row = torch.tensor([self.train_people.index(person) if known else -1], device=self.device)
        return self.model.appearance_of(row, texture.permute(2, 0, 1)[None].float() / 255.0)

    @torch.no_grad()
    def condition(self, person: str, expression: str) -> Codes | Conditioned:
        """A person of the codes file with a trained expression."""
        shape = torch.from_numpy(self.codes.shape(person)).to(self.device)[None]
        number = torch.tensor([self.row(expression)], device=self.device)
        appearance = self.appearance(person)
        return self.model.condition(shape, self.model.expression(number), appearance)

    def surface(self, person: str, expression: str) -> Mesh:
        """The surface that the linear model expects of them (mm, face frame)."""
        return self.surfaces.predict(self.codes.shape(person), self.row(expression))

    def render(
        self,
        person: str,
        expression: str,
        camera: Camera,
        sampling: SamplingConfig,
        rays_at_once: int = 4096,
    ) -> Image:
        """An image along the predicted surface: no depth and no mask of any image is used."""
        guide = expected_depth(self.surface(person, expression), camera, sampling.margin)
        return render_image(
            self.model, camera, self.condition(person, expression), sampling, guide, rays_at_once
        )

    def expression_codes(self) -> Float32[np.ndarray, "n e"]:
        """The learned codes, in the order of ``expressions``."""
        return self.model.expression_codes.detach().cpu().numpy()

    def codes_of(self, person: str, expression: str) -> FaceCodes:
        """A person of the codes file with a trained expression, as numbers."""
        appearance = self.appearance(person)[0].cpu().numpy()
        return self.with_expression(self.codes.shape(person), appearance, expression)

    def with_expression(
        self,
        shape: Float32[np.ndarray, " s"],
        appearance: Float32[np.ndarray, " a"],
        expression: str,
    ) -> FaceCodes:
        """Any shape and appearance with a trained expression."""
        row = self.row(expression)
        mix = np.zeros(len(self.expressions), np.float32)
        mix[row] = 1.0
        return FaceCodes(shape, self.expression_codes()[row], appearance, mix)

    @torch.no_grad()
    def ready(self, codes: FaceCodes) -> Codes | Conditioned:
        """Codes made ready for the field."""
        parts = (codes.shape, codes.expression, codes.appearance)
        return self.model.condition(*[torch.from_numpy(p)[None].to(self.device) for p in parts])

    def surface_of(self, codes: FaceCodes) -> Mesh:
        """The surface that the linear model expects of codes (mm, face frame)."""
        return self.surfaces.blend(codes.shape, codes.mix)

    def draw(
        self,
        codes: FaceCodes,
        camera: Camera,
        sampling: SamplingConfig,
        rays_at_once: int = 4096,
    ) -> Image:
        """An image of any codes, along the surface that is expected of them."""
        guide = expected_depth(self.surface_of(codes), camera, sampling.margin)
        return render_image(self.model, camera, self.ready(codes), sampling, guide, rays_at_once)
