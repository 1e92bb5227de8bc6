"""ImFace's networks, top to bottom: codes, landmark nets, three blend fields, and the way to disk.

    f(x) = T(x'') + d(x')        x' = E(x; z_exp)        x'' = I(x'; z_id)

E moves an observed point to the person's neutral shape, I moves it on to a template shape shared by
all faces and emits a scalar correction d, T is the template's signed distance field. What depends
on the codes alone (generated weights, predicted landmarks) is computed once per scan in
:meth:`ImFace.condition`; what depends on the points is :meth:`ImFace.field`. With a refinement
(ImFace++), :meth:`ImFace.refined_sdf` lays fine detail over it.

All points are in ImFace's unit ball (``mesh.frames.FACE_TO_IMFACE``: 100 mm are one unit, nose tip
at (0, 0, 0.4)). Sections refer to the paper (CVPR 2022); "release" is the authors' published code.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from facemill.errors import ConfigError
from facemill.imface.blend import (
    BlendSweeps,
    HyperBlendField,
    TemplateField,
    blend,
    parameters_of,
)
from facemill.imface.config import ModelConfig
from facemill.imface.sweeps import FieldSweeps, WarpSweeps
from facemill.nets.fusion import FusionNet
from facemill.nets.screw import screw_motion
from facemill.nets.siren import Layers
from facemill.nets.sweeps import swept
from facemill.training.settings import from_settings, to_settings
from facemill.training.weights import fill, read_weights, write_weights

N_LANDMARKS = 68

DISPLACEMENT = 0.05
"""Farthest that the refinement moves a point: 5 mm (ImFace++)."""
BAND = 0.02
"""Distance from the coarse surface at which the refinement has faded to a half: 2 mm (ImFace++)."""


@dataclass(frozen=True)
class Condition:
    """Everything that follows from the codes of b scans, ready for any number of points."""

    observed_anchors: Float[Tensor, "b k 3"]  # predicted landmarks of the scan
    neutral_anchors: Float[Tensor, "b k 3"]  # predicted landmarks of the person's neutral face
    expression_layers: Layers  # of E, acting on points (see blend.py); empty without E
    identity_layers: Layers  # of I
    detail_layers: Layers = ()  # of the refinement; empty without

    def rows(self, which: slice) -> "Condition":
        """The condition of some of the scans."""
        return self._each(lambda tensor: tensor[which])

    def detach(self) -> "Condition":
        """The same numbers without their history."""
        return self._each(lambda tensor: tensor.detach())

    def leaves(self) -> "Condition":
        """The same numbers as a beginning: gradients reach them and end there."""
        return self._each(lambda tensor: tensor.detach().requires_grad_())

    def with_detail(self, layers: Layers) -> "Condition":
        """The same with the refinement's layers."""
        return dataclasses.replace(self, detail_layers=layers)

    def layer_tensors(self) -> list[Tensor]:
        """Weights and biases of E, I and the refinement, in this order."""
        layers = (*self.expression_layers, *self.identity_layers, *self.detail_layers)
        return [tensor for layer in layers for tensor in layer]

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Condition":
        def changed(layers: Layers) -> Layers:
            return [(change(weight), change(bias)) for weight, bias in layers]

        return Condition(
            change(self.observed_anchors),
            change(self.neutral_anchors),
            changed(self.expression_layers),
            changed(self.identity_layers),
            changed(self.detail_layers),
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


class ImFace(nn.Module):
    """ImFace for ``n_identities`` people with up to ``n_expressions`` expressions each.

    Codes are free parameters from N(0, ``code_std``^2): one z_id for each person and one z_exp for
    each (person, expression), or for each expression where these are shared; with a refinement
    also one z_detail for each (person, expression). ``template_landmarks`` (68, 3) is the mean of
    the training people's neutral landmarks; training sets it before the first step.

    Without disentangling (the paper's ablation) there is no E: I is generated from both codes and
    hangs on the observed landmarks.
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
        n_codes = n_expressions if config.expression_codes == "shared" else n_scans
        self.identity_codes = nn.Embedding(n_identities, config.identity_dim)
        self.expression_codes = nn.Embedding(n_codes, config.expression_dim)
        nn.init.normal_(self.identity_codes.weight, std=config.code_std)
        nn.init.normal_(self.expression_codes.weight, std=config.code_std)

        both = config.expression_dim + config.identity_dim
        self.observed_landmark_net = LandmarkNet(both, config.landmark_width, k)
        if config.disentangle:
            self.neutral_landmark_net = LandmarkNet(config.identity_dim, config.landmark_width, k)
            self.expression_field = HyperBlendField(config, config.expression_dim, warp_size)
        identity_dim = config.identity_dim if config.disentangle else both
        self.identity_field = HyperBlendField(config, identity_dim, warp_size + 1)
        self.template_field = TemplateField(config)
        if config.detail_dim:
            self.detail_codes = nn.Embedding(n_scans, config.detail_dim)
            nn.init.normal_(self.detail_codes.weight, std=config.code_std)
            self.detail_field = HyperBlendField(config, config.detail_dim, 1)
        self.register_buffer("template_landmarks", torch.zeros(N_LANDMARKS, 3))

    # -- codes -------------------------------------------------------------------------------------

    def codes(
        self, identity: Int[Tensor, " b"], expression: Int[Tensor, " b"]
    ) -> tuple[Float[Tensor, "b ci"], Float[Tensor, "b ce"]]:
        """Trained codes by the positions of person and expression in the checkpoint's lists."""
        row = self._scan_row(identity, expression)
        if self.config.expression_codes == "shared":
            row = expression
        return self.identity_codes(identity), self.expression_codes(row)

    def details(
        self, identity: Int[Tensor, " b"], expression: Int[Tensor, " b"]
    ) -> Float[Tensor, "b cd"] | None:
        """Trained detail codes; None for a model without refinement."""
        if not self.config.detail_dim:
            return None
        return self.detail_codes(self._scan_row(identity, expression))

    @torch.no_grad()
    def inherit_codes(self, sources: Sequence[int]) -> None:
        """Give each person the codes of another one, all expressions': ``sources`` by person."""
        identities = self.identity_codes.weight
        person = torch.tensor(sources, device=identities.device)
        identities.copy_(identities[person])
        by_scan = [self.expression_codes] if self.config.expression_codes == "extended" else []
        if self.config.detail_dim:
            by_scan.append(self.detail_codes)
        for table in by_scan:
            rows = table.weight.view(-1, self.n_identities, table.embedding_dim)
            rows.copy_(rows[:, person])

    def _scan_row(self, identity: Tensor, expression: Tensor) -> Tensor:
        return expression * self.n_identities + identity

    def condition(
        self,
        identity_code: Float[Tensor, "b ci"],
        expression_code: Float[Tensor, "b ce"],
        detail_code: Float[Tensor, "b cd"] | None = None,
    ) -> Condition:
        """Landmarks and generated weights of b scans; evaluate once per scan, not per point."""
        both = torch.cat([expression_code, identity_code], dim=-1)
        observed = self.observed_landmark_net(both)
        if self.config.disentangle:
            neutral = self.neutral_landmark_net(identity_code)
            expression_layers = self.expression_field.layers(expression_code, observed)
            identity_layers = self.identity_field.layers(identity_code, neutral)
        else:
            neutral, expression_layers = observed, ()
            identity_layers = self.identity_field.layers(both, observed)
        details = ()
        if detail_code is not None:
            details = self.detail_field.layers(detail_code, self.template_anchors)
        return Condition(observed, neutral, expression_layers, identity_layers, details)

    @property
    def template_anchors(self) -> Float[Tensor, "k 3"]:
        """The template's own anchor landmarks."""
        return self.template_landmarks[list(self.config.anchors)]

    # -- fields ------------------------------------------------------------------------------------

    def to_neutral(
        self,
        points: Float[Tensor, "b n 3"],
        condition: Condition,
        bypass_expression: Bool[Tensor, " b"] | None = None,
    ) -> tuple[Float[Tensor, "b n 3"], Float[Tensor, "b n m"]]:
        """x' = E(x) and E's raw output. Where ``bypass_expression`` is true, x' = x."""
        if not self.config.disentangle:
            return points, torch.zeros_like(points)
        raw = self._blend(self.expression_field, points, condition.expression_layers)
        moved = self._warp(points, raw)
        if bypass_expression is not None:
            moved = torch.where(bypass_expression[:, None, None], points, moved)
        return moved, raw

    def to_template(
        self, neutral_points: Float[Tensor, "b n 3"], condition: Condition
    ) -> tuple[Float[Tensor, "b n 3"], Float[Tensor, "b n"]]:
        """x'' = I(x') and the correction d(x'), the last channel of I."""
        raw = self._blend(self.identity_field, neutral_points, condition.identity_layers)
        return self._warp(neutral_points, raw[..., :-1]), raw[..., -1]

    def template_sdf(self, template_points: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n"]:
        """T(x'')."""
        layers = self.template_field.layers(self.template_anchors)
        return self._blend(self.template_field, template_points, layers)[..., 0]

    def _blend(
        self, field: HyperBlendField | TemplateField, points: Tensor, layers: Layers
    ) -> Float[Tensor, "b n m"]:
        return blend(points, layers, field.fusion, self.config.blend)

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

        The pass and its backward are written out (sweeps.py) instead of asked from autograd, so
        that losses on the gradients reach weights and codes without a double backward. Works
        inside ``torch.no_grad`` too.
        """
        layers = self.field_layers(condition)
        found = swept(self.sweeps(layers, bypass_expression), points, self.sweep_parameters(layers))
        return FieldOutput(*found[:5]), *found[5:]

    def field_layers(self, condition: Condition) -> list[Layers]:
        """The layers of E, if there is one, I and T."""
        layers = [condition.identity_layers, self.template_field.layers(self.template_anchors)]
        return [condition.expression_layers, *layers] if self.config.disentangle else layers

    def sweeps(
        self, layers: Sequence[Layers], bypass_expression: Bool[Tensor, " b"] | None = None
    ) -> FieldSweeps:
        """The field's passes with these layers, without a history (sweeps.py)."""
        *warps, template = (
            BlendSweeps(own, fusion, self.config.blend)
            for own, fusion in zip(layers, self._fusions, strict=True)
        )
        identity = WarpSweeps(warps[-1], self.config.warp)
        expression = None
        if self.config.disentangle:
            expression = WarpSweeps(warps[0], self.config.warp, bypass_expression)
        return FieldSweeps(expression, identity, template)

    def sweep_parameters(self, layers: Sequence[Layers]) -> list[Tensor]:
        """What the backward of :meth:`sweeps` gives gradients of."""
        pairs = zip(layers, self._fusions, strict=True)
        return [tensor for own, fusion in pairs for tensor in parameters_of(own, fusion)]

    @property
    def _fusions(self) -> list[FusionNet | None]:
        """The fusion nets of E, if there is one, I and T."""
        fusions = [self.identity_field.fusion, self.template_field.fusion]
        return [self.expression_field.fusion, *fusions] if self.config.disentangle else fusions

    def refined_sdf(
        self, points: Float[Tensor, "b n 3"], condition: Condition
    ) -> Float[Tensor, "b n"]:
        """f(x + r n): the field with the refinement's detail (ImFace++, sec. 6 of docs/imface.md).

        r = DISPLACEMENT tanh(R(x'')) / (1 + (f(x) / BAND)^4) moves the point along the field's unit
        gradient n at x, which is taken as a constant. Differentiable in everything else as often
        as one likes: R is trained through this function's gradient in x.
        """
        _, gradient, _ = self.field_and_gradients(points.detach(), condition.detach())
        direction = torch.nn.functional.normalize(gradient.detach(), dim=-1)
        coarse = self.field(points, condition)
        raw = self._blend(self.detail_field, coarse.template_points, condition.detail_layers)
        reach = DISPLACEMENT / (1 + (coarse.sdf / BAND) ** 4)
        moved = points + (reach * torch.tanh(raw[..., 0])).unsqueeze(-1) * direction
        return self.field(moved, condition).sdf

    def _warp(
        self, points: Float[Tensor, "b n 3"], raw: Float[Tensor, "b n m"]
    ) -> Float[Tensor, "b n 3"]:
        """Apply E's or I's raw output to points (sec. 3.3): a twist (w, v), or a translation."""
        if self.config.warp == "translation":
            return points + raw
        return screw_motion(points, raw[..., :3], raw[..., 3:])


# -- counting ------------------------------------------------------------------------------------


def parameter_counts(model: ImFace) -> dict[str, int]:
    """Numbers in the model, by part, as the release counts them; "total" is their sum.

    The release also keeps an ordinary sine net in E and in I whose values nothing ever reads: only
    its shapes tell the hyper-network what to generate. We hold the shapes alone and count those
    numbers as ``*_unread``. Template landmarks are constants but counted there too.
    """

    def numel(*parts: nn.Module) -> int:
        return sum(p.numel() for part in parts for p in part.parameters())

    def fusion_of(field: nn.Module) -> list[nn.Module]:
        return [] if field.fusion is None else [field.fusion]

    counts = {
        "identity_codes": numel(model.identity_codes),
        "expression_codes": numel(model.expression_codes),
        "observed_landmark_net": numel(model.observed_landmark_net),
        "template_siren": numel(model.template_field) - numel(*fusion_of(model.template_field)),
        "template_fusion": numel(*fusion_of(model.template_field)),
        "template_landmarks": model.template_landmarks.numel(),
    }
    for name in ("neutral_landmark_net", "detail_codes"):
        if hasattr(model, name):
            counts[name] = numel(getattr(model, name))
    for name in ("expression", "identity", "detail"):
        part = getattr(model, f"{name}_field", None)
        if part is None:
            continue
        counts[f"{name}_hyper"] = numel(part.hyper)
        counts[f"{name}_fusion"] = numel(*fusion_of(part))
        if model.config.blend == "fused" and name != "detail":
            counts[f"{name}_unread"] = sum(out * (fan_in + 1) for out, fan_in in part.shapes)
    return {**counts, "total": sum(counts.values())}


# -- to disk and back ------------------------------------------------------------------------------

FORMAT = "facemill.imface.1"


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
    write_weights(path, model, metadata)


def load_model(path: str | Path) -> tuple[ImFace, dict[str, Any]]:
    """Read what :func:`save_model` wrote: the model (on the CPU, for evaluation) and the metadata.

    Warp, blend and all sizes come from the file. Raises DataError for a missing, truncated or
    foreign file.
    """
    hint = "Train the model again or copy the file anew."
    origin = "Give a model.safetensors that ImFace's training wrote."
    metadata, tensors = read_weights(path, FORMAT, origin, hint)
    config = from_settings(ModelConfig, metadata["config"], f"{path}: config")
    model = ImFace(config, len(metadata["people"]), len(metadata["expressions"]))
    fill(model, tensors, path, hint)
    return model.eval(), metadata
