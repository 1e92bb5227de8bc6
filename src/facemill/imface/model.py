"""ImFace's networks, top to bottom: codes, landmark nets, three blend fields, and the way to disk.

    f(x) = T(x'') + d(x')        x' = E(x; z_exp)        x'' = I(x'; z_id)

E moves an observed point to the person's neutral shape, I moves it on to a template shape shared by
all faces and emits a scalar correction d, T is the template's signed distance field. What depends
on the codes alone (generated weights, predicted landmarks) is computed once per scan in
:meth:`ImFace.condition`; what depends on the points is :meth:`ImFace.field`.

All points are in ImFace's unit ball (``mesh.frames.FACE_TO_IMFACE``: 100 mm are one unit, nose tip
at (0, 0, 0.4)). Sections refer to the paper (CVPR 2022); "release" is the authors' published code.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from facemill.errors import ConfigError, DataError
from facemill.files import require_file, writing
from facemill.imface.config import ModelConfig
from facemill.nets.fusion import FusionNet
from facemill.nets.hypernetwork import HyperNetwork
from facemill.nets.screw import screw_motion, screw_pullback
from facemill.nets.siren import (
    Layers,
    Siren,
    scaled_for_sine,
    siren,
    siren_and_pullback,
    siren_shapes,
)
from facemill.training.settings import from_settings, to_settings

N_LANDMARKS = 68


@dataclass(frozen=True)
class Condition:
    """Everything that follows from the codes of b scans, ready for any number of points."""

    observed_anchors: Float[Tensor, "b k 3"]  # predicted landmarks of the scan
    neutral_anchors: Float[Tensor, "b k 3"]  # predicted landmarks of the person's neutral face
    expression_layers: Layers  # of E: weights (b, out, in) that act on points, not on offsets
    identity_layers: Layers  # of I

    def row(self, item: int) -> "Condition":
        """The condition of one scan, still with a batch axis of 1."""
        rows = slice(item, item + 1)
        return Condition(
            self.observed_anchors[rows],
            self.neutral_anchors[rows],
            [(weight[rows], bias[rows]) for weight, bias in self.expression_layers],
            [(weight[rows], bias[rows]) for weight, bias in self.identity_layers],
        )

    def detach(self) -> "Condition":
        """The same numbers without their history."""
        return Condition(
            self.observed_anchors.detach(),
            self.neutral_anchors.detach(),
            [(weight.detach(), bias.detach()) for weight, bias in self.expression_layers],
            [(weight.detach(), bias.detach()) for weight, bias in self.identity_layers],
        )


class FieldOutput(NamedTuple):
    """What the model says about b x n points; lengths in units of 100 mm."""

    sdf: Float[Tensor, "b n"]  # f(x), positive in front of the face
    correction: Float[Tensor, "b n"]  # d(x')
    neutral_points: Float[Tensor, "b n 3"]  # x' = E(x)
    template_points: Float[Tensor, "b n 3"]  # x'' = I(x')
    deformation: Float[Tensor, "b n m"]  # E's raw output: m = 6 (se3) or 3 (translation)


class LandmarkNet(nn.Module):
    """Code to the k anchor landmarks of the face it stands for (sec. 3.2; "sparse net")."""

    def __init__(self, code_dim: int, width: int, n_anchors: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(code_dim, width),
            nn.LeakyReLU(),
            nn.Linear(width, width),
            nn.LeakyReLU(),
            nn.Linear(width, 3 * n_anchors),
        )

    def forward(self, code: Float[Tensor, "b c"]) -> Float[Tensor, "b k 3"]:
        """Landmarks in the unit ball."""
        return self.net(code).unflatten(-1, (-1, 3))


def on_points(
    layers: Layers, anchors: Float[Tensor, "*b k 3"], omega: float
) -> list[tuple[Tensor, Tensor]]:
    """Layers that act on the k offsets [x - l_1, ..., x - l_k] rewritten to act on x itself.

    The offsets are an affine image of x, so W [x - l_k] + b = (sum_k W_k) x + (b - sum_k W_k l_k):
    the same function with 3 inputs instead of 3 k. Omega is multiplied in as well.
    """
    (weight, bias), *rest = layers
    offset = (weight @ anchors.flatten(-2).unsqueeze(-1)).squeeze(-1)
    folded = weight.unflatten(-1, (-1, 3)).sum(-2)
    return scaled_for_sine([(folded, bias - offset), *rest], omega)


def blend(
    points: Float[Tensor, "b n 3"], layers: Layers, fusion: FusionNet
) -> Float[Tensor, "b n m"]:
    """Neural blend field (sec. 3.2): k local outputs, mixed by weights that sum to one.

    Fused form of the release: one sine net sees the offsets to all anchors and its output is cut
    into one piece of m numbers for each anchor.
    """
    weights = fusion(points)
    local = siren(points, layers).unflatten(-1, (weights.shape[-1], -1))
    return (weights.unsqueeze(-1) * local).sum(-2)


def blend_and_pullback(
    points: Float[Tensor, "b n 3"], layers: Layers, fusion: FusionNet
) -> tuple[Float[Tensor, "b n m"], Callable[[Tensor], Tensor]]:
    """:func:`blend` and the function that pulls a gradient of its output back to the points."""
    weights, weights_pullback = fusion.and_pullback(points)
    flat, siren_pullback = siren_and_pullback(points, layers)
    local = flat.unflatten(-1, (weights.shape[-1], -1))

    def pullback(gradient: Tensor) -> Tensor:
        of_weights = (local * gradient.unsqueeze(-2)).sum(-1)
        of_local = weights.unsqueeze(-1) * gradient.unsqueeze(-2)
        return weights_pullback(of_weights) + siren_pullback(of_local.flatten(-2))

    return (weights.unsqueeze(-1) * local).sum(-2), pullback


class HyperBlendField(nn.Module):
    """A blend field whose sine net is generated from a code: E and I (sec. 3.2)."""

    def __init__(self, config: ModelConfig, code_dim: int, outputs: int) -> None:
        super().__init__()
        k = len(config.anchors)
        self.shapes = siren_shapes(3 * k, config.width, config.hidden_layers, k * outputs)
        self.hyper = HyperNetwork(code_dim, config.hyper_width, config.hyper_layers, self.shapes)
        self.fusion = FusionNet(config.fusion_width, k)

    def layers(
        self, code: Float[Tensor, "b c"], anchors: Float[Tensor, "b k 3"], omega: float
    ) -> list[tuple[Tensor, Tensor]]:
        """The generated layers, acting on points."""
        return on_points(self.hyper(code), anchors, omega)


class TemplateField(nn.Module):
    """The blend field of the template, one for all faces: T. Its head starts at zero."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        k = len(config.anchors)
        sizes = (3 * k, config.width, config.hidden_layers, k)
        self.siren = Siren(*sizes, omega=config.omega, zero_head=True)
        self.fusion = FusionNet(config.fusion_width, k)


class ImFace(nn.Module):
    """ImFace for ``n_identities`` people with up to ``n_expressions`` expressions each.

    Codes are free parameters: one z_id for each person, one z_exp for each (person, expression),
    both from N(0, ``code_std``^2). ``template_landmarks`` (68, 3) is the mean of the training
    people's neutral landmarks; training sets it before the first step.
    """

    template_landmarks: Tensor

    def __init__(self, config: ModelConfig, n_identities: int, n_expressions: int) -> None:
        super().__init__()
        self.config = config
        self.n_identities = n_identities
        self.n_expressions = n_expressions
        k = len(config.anchors)
        warp_size = {"se3": 6, "translation": 3}[config.warp]

        n_scans = n_identities * n_expressions
        self.identity_codes = nn.Embedding(n_identities, config.identity_dim)
        self.expression_codes = nn.Embedding(n_scans, config.expression_dim)
        nn.init.normal_(self.identity_codes.weight, std=config.code_std)
        nn.init.normal_(self.expression_codes.weight, std=config.code_std)

        both = config.expression_dim + config.identity_dim
        self.observed_landmark_net = LandmarkNet(both, config.landmark_width, k)
        self.neutral_landmark_net = LandmarkNet(config.identity_dim, config.landmark_width, k)
        self.expression_field = HyperBlendField(config, config.expression_dim, warp_size)
        self.identity_field = HyperBlendField(config, config.identity_dim, warp_size + 1)
        self.template_field = TemplateField(config)
        self.register_buffer("template_landmarks", torch.zeros(N_LANDMARKS, 3))

    # -- codes -------------------------------------------------------------------------------------

    def codes(
        self, identity: Int[Tensor, " b"], expression: Int[Tensor, " b"]
    ) -> tuple[Float[Tensor, "b ci"], Float[Tensor, "b ce"]]:
        """Trained codes by the positions of person and expression in the checkpoint's lists."""
        return self.identity_codes(identity), self.expression_codes(
            expression * self.n_identities + identity
        )

    def condition(
        self, identity_code: Float[Tensor, "b ci"], expression_code: Float[Tensor, "b ce"]
    ) -> Condition:
        """Landmarks and generated weights of b scans; evaluate once per scan, not per point."""
        omega = self.config.omega
        observed = self.observed_landmark_net(torch.cat([expression_code, identity_code], dim=-1))
        neutral = self.neutral_landmark_net(identity_code)
        return Condition(
            observed,
            neutral,
            self.expression_field.layers(expression_code, observed, omega),
            self.identity_field.layers(identity_code, neutral, omega),
        )

    # -- fields ------------------------------------------------------------------------------------

    def to_neutral(
        self,
        points: Float[Tensor, "b n 3"],
        condition: Condition,
        bypass_expression: Bool[Tensor, " b"] | None = None,
    ) -> tuple[Float[Tensor, "b n 3"], Float[Tensor, "b n m"]]:
        """x' = E(x) and E's raw output. Where ``bypass_expression`` is true, x' = x."""
        raw = blend(points, condition.expression_layers, self.expression_field.fusion)
        moved = self._warp(points, raw)
        if bypass_expression is not None:
            moved = torch.where(bypass_expression[:, None, None], points, moved)
        return moved, raw

    def to_template(
        self, neutral_points: Float[Tensor, "b n 3"], condition: Condition
    ) -> tuple[Float[Tensor, "b n 3"], Float[Tensor, "b n"]]:
        """x'' = I(x') and the correction d(x'), the last channel of I."""
        raw = blend(neutral_points, condition.identity_layers, self.identity_field.fusion)
        return self._warp(neutral_points, raw[..., :-1]), raw[..., -1]

    def template_sdf(self, template_points: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n"]:
        """T(x'')."""
        return blend(template_points, self._template_layers(), self.template_field.fusion)[..., 0]

    def _template_layers(self) -> list[tuple[Tensor, Tensor]]:
        """T's layers, acting on points."""
        anchors = self.template_landmarks[list(self.config.anchors)]
        return on_points(self.template_field.siren.layers(), anchors, self.config.omega)

    def field(
        self,
        points: Float[Tensor, "b n 3"],
        condition: Condition,
        bypass_expression: Bool[Tensor, " b"] | None = None,
    ) -> FieldOutput:
        """Signed distance and everything on the way to it, of n points in each of b scans.

        ``bypass_expression``: scans (b,) whose points already lie in the neutral space, as those of
        a trained person's neutral scan do at inference. In training nothing is bypassed; a penalty
        drives E's raw output to zero on neutral scans instead.
        """
        neutral_points, deformation = self.to_neutral(points, condition, bypass_expression)
        template_points, correction = self.to_template(neutral_points, condition)
        sdf = self.template_sdf(template_points) + correction
        return FieldOutput(sdf, correction, neutral_points, template_points, deformation)

    def field_and_gradients(
        self,
        points: Float[Tensor, "b n 3"],
        condition: Condition,
        bypass_expression: Bool[Tensor, " b"] | None = None,
    ) -> tuple[FieldOutput, Float[Tensor, "b n 3"], Float[Tensor, "b n 3"]]:
        """:meth:`field` with grad_x f and grad_x' f, both from one reverse pass.

        The pass is written out instead of asked from autograd, so that losses on the gradients
        reach weights and codes without a double backward. Works inside ``torch.no_grad`` too.
        """
        e, i, t = self.expression_field, self.identity_field, self.template_field
        deformation, e_back = blend_and_pullback(points, condition.expression_layers, e.fusion)
        neutral_points = self._warp(points, deformation)
        if bypass_expression is not None:
            bypass = bypass_expression[:, None, None]
            neutral_points = torch.where(bypass, points, neutral_points)
        identity_raw, i_back = blend_and_pullback(
            neutral_points, condition.identity_layers, i.fusion
        )
        motion, correction = identity_raw[..., :-1], identity_raw[..., -1:]
        template_points = self._warp(neutral_points, motion)
        value, t_back = blend_and_pullback(template_points, self._template_layers(), t.fusion)

        ones = torch.ones_like(value)
        direct, of_motion = self._warp_pullback(neutral_points, motion, t_back(ones))
        neutral_gradient = direct + i_back(torch.cat([of_motion, ones], dim=-1))
        direct, of_deformation = self._warp_pullback(points, deformation, neutral_gradient)
        gradient = direct + e_back(of_deformation)
        if bypass_expression is not None:
            gradient = torch.where(bypass, neutral_gradient, gradient)
        sdf = (value + correction)[..., 0]
        output = FieldOutput(sdf, correction[..., 0], neutral_points, template_points, deformation)
        return output, gradient, neutral_gradient

    def _warp(
        self, points: Float[Tensor, "b n 3"], raw: Float[Tensor, "b n m"]
    ) -> Float[Tensor, "b n 3"]:
        """Apply E's or I's raw output to points (sec. 3.3): a twist (w, v), or a translation."""
        if self.config.warp == "translation":
            return points + raw
        return screw_motion(points, raw[..., :3], raw[..., 3:])

    def _warp_pullback(
        self,
        points: Float[Tensor, "b n 3"],
        raw: Float[Tensor, "b n m"],
        gradient: Float[Tensor, "b n 3"],
    ) -> tuple[Float[Tensor, "b n 3"], Float[Tensor, "b n m"]]:
        """A gradient of :meth:`_warp`'s result pulled back to the points and to the raw output."""
        if self.config.warp == "translation":
            return gradient, gradient
        pulled = screw_pullback(points, raw[..., :3], raw[..., 3:], gradient)
        return pulled[0], torch.cat(pulled[1:], dim=-1)


# -- counting ------------------------------------------------------------------------------------


def parameter_counts(model: ImFace) -> dict[str, int]:
    """Numbers in the model, by part, as the release counts them; "total" is their sum.

    The release also keeps an ordinary sine net in E and in I whose values nothing ever reads: only
    its shapes tell the hyper-network what to generate. We hold the shapes alone and count those
    numbers as ``*_unread``. Template landmarks are constants but counted there too.
    """

    def numel(*parts: nn.Module) -> int:
        return sum(p.numel() for part in parts for p in part.parameters())

    counts = {
        "identity_codes": numel(model.identity_codes),
        "expression_codes": numel(model.expression_codes),
        "observed_landmark_net": numel(model.observed_landmark_net),
        "neutral_landmark_net": numel(model.neutral_landmark_net),
        "template_siren": numel(model.template_field.siren),
        "template_fusion": numel(model.template_field.fusion),
        "template_landmarks": model.template_landmarks.numel(),
    }
    for name in ("expression", "identity"):
        part = getattr(model, f"{name}_field")
        counts[f"{name}_hyper"] = numel(part.hyper)
        counts[f"{name}_fusion"] = numel(part.fusion)
        counts[f"{name}_unread"] = sum(out * (fan_in + 1) for out, fan_in in part.shapes)
    return {**counts, "total": sum(counts.values())}


# -- to disk and back ------------------------------------------------------------------------------

FORMAT = "facemill.imface.1"
METADATA = "facemill"  # the entry of the file's metadata that holds ours, as JSON text


def save_model(
    path: str | Path,
    model: ImFace,
    people: Sequence[str],
    expressions: Sequence[str],
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write weights as safetensors, with what is needed to use them as JSON text in the metadata.

    ``people`` and ``expressions`` name the rows of the code tables; ``extra`` is anything JSON can
    hold (versions, the training settings).
    """
    found = (len(people), len(expressions))
    if found != (model.n_identities, model.n_expressions):
        raise ConfigError(
            f"{path}: {found} people and expressions are named, the model's code tables have "
            f"{(model.n_identities, model.n_expressions)}; name every row"
        )
    metadata = {
        "format": FORMAT,
        "config": to_settings(model.config),
        "people": list(people),
        "expressions": list(expressions),
        **(extra or {}),
    }
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
    }
    with writing(path) as part:  # one entry only: several would be written in random order
        safetensors.torch.save_file(tensors, part, metadata={METADATA: json.dumps(metadata)})


def load_model(path: str | Path) -> tuple[ImFace, dict[str, Any]]:
    """Read what :func:`save_model` wrote: the model (on the CPU, for evaluation) and the metadata.

    Warp, blend and all sizes come from the file. Raises DataError for a missing, truncated or
    foreign file.
    """
    hint = "Train the model again or copy the file anew."
    require_file(path, hint)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get(METADATA, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: not a whole safetensors file ({error}). {hint}") from None
    if metadata.get("format") != FORMAT:
        raise DataError(
            f"{path}: weights of {metadata.get('format')!r}, expected {FORMAT!r}. "
            "Give a model.safetensors that ImFace's training wrote."
        )
    config = from_settings(ModelConfig, metadata["config"], f"{path}: config")
    model = ImFace(config, len(metadata["people"]), len(metadata["expressions"]))
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(f"{path}: weights do not fit their own config ({error}). {hint}") from None
    return model.eval(), metadata
