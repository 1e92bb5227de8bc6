"""Fitting ImFace to unseen scans: the networks stand still, the codes move (sec. 3.5, test time).

Input are the samples of a scan (surface points with normals, free points with signed distances)
and, where wanted, its landmarks. Every scan gets its own pair of codes, as published, or all scans
of a person share one identity code. Raw scans (fit_one.py) may also move a little, know some of
their landmarks or none, and have strays that are not to count. What a step draws follows from its
number, so that a fit that was killed is taken up in the middle and ends with the same codes.
"""

import logging
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from facemill.data.packs import SamplePack
from facemill.errors import TrainingError
from facemill.files import content_hash, sha256, write_npz
from facemill.imface import losses
from facemill.imface.config import FitConfig, FitSettings, FitWeights
from facemill.imface.data import landmarks_to_unit_ball, to_unit_ball
from facemill.imface.model import ImFace, load_model
from facemill.imface.pose import motion, moved
from facemill.imface.reconstruct import reconstruct
from facemill.imface.refine import decay, fit_details
from facemill.imface.start import start_codes
from facemill.mesh.frames import FACE_TO_IMFACE, Similarity
from facemill.randomness import generator
from facemill.training.checkpoint import Checkpoints
from facemill.training.descent import Descent
from facemill.training.device import choose_device, reproducible
from facemill.training.progress import Progress
from facemill.training.settings import from_settings, to_settings

log = logging.getLogger(__name__)

TERMS = [field.name for field in fields(FitWeights)]

CODE = ("blend", "fit", "losses", "model", "pose", "reconstruct", "refine", "start", "sweeps")
"""Modules that what is fitted depends on."""

POINTS_AT_ONCE = 65536
"""Points of all scans together in one forward and backward pass; bounds memory (about 6 GB)."""

UNDER_WAY = "under_way"
"""Folder of the codes that are being found, in the work folder of a person."""

STRAY = 5.0
"""Residuals above so many medians of their scan are strays, where strays are expected."""


@runtime_checkable
class Samples(Protocol):
    """What fitting reads: a sample pack, or scans in memory. ``path`` names it in messages."""

    path: Path
    rows: int

    def block(self, expression: str, start: int, count: int) -> Float32[np.ndarray, "count 7"]: ...

    def landmarks(self, expression: str) -> Float32[np.ndarray, "68 3"]: ...


@dataclass(frozen=True)
class RawScans:
    """How scans of unknown making are fitted: strays do not count, the scan may move.

    ``truncation``: least residual (mm) of a stray. ``pose_rate``: Adam's step for the turn (rad)
    and shift (of 100 mm) of each scan, 0 if it stands. ``with_scale``: its size may change too.
    """

    truncation: float = 3.0
    pose_rate: float = 2e-3
    with_scale: bool = False


@dataclass(frozen=True)
class Codes:
    """What fitting finds for s scans, and the weighted loss terms of the last step.

    ``motions``: by scan, from where it was given to where it was moved (face frame, mm).
    ``detail``: of models with a refinement.
    """

    identity: Float[Tensor, "s ci"]
    expression: Float[Tensor, "s ce"]
    losses: dict[str, float]
    motions: tuple[Similarity, ...] = ()
    detail: Float[Tensor, "s cd"] | None = None

    def of(self, item: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Identity, expression and detail code of one scan."""
        detail = None if self.detail is None else self.detail[item]
        return self.identity[item], self.expression[item], detail


def fit_person(
    model: str | Path,
    samples: str | Path,
    settings: Mapping[str, Any],
    work: str | Path,
    out: str | Path,
    threads: int | None = None,
) -> None:
    """Fit every scan of a sample pack and write codes and meshes (docs/data-layouts.md).

    ``settings`` holds ``fit`` and ``extraction`` (see config.py). A run that was killed goes on
    from ``work``, scans already fitted and the codes under way; it is removed at the end.
    """
    config = from_settings(FitSettings, settings, "imface")
    network, _ = load_model(model)
    pack = SamplePack(samples)
    device = choose_device(config.fit.device)
    samples_sha256 = pack.manifest.get("pack_sha256") or sha256(pack.path)
    depends_on = fingerprint(config, model, device) | {"samples": samples_sha256}
    checkpoints = Checkpoints(work, depends_on)
    done: dict[str, dict[str, Tensor]] = checkpoints.load() or {}
    with reproducible(device, threads or torch.get_num_threads()):
        network = network.to(device)
        for group in groups_of_scans(pack.expressions, config.fit):
            if all(expression in done for expression in group):
                log.info("already fitted: %s", ", ".join(group))
                continue
            codes = fit_scans(
                network, pack, group, config.fit, work=Path(work) / UNDER_WAY, of={"scans": group}
            )
            for i, expression in enumerate(group):
                identity, expression_code, detail = codes.of(i)
                mesh = reconstruct(network, identity, expression_code, config.extraction, detail)
                done[expression] = {
                    "vertices": torch.from_numpy(mesh.vertices.astype(np.float32)),
                    "faces": torch.from_numpy(mesh.faces.astype(np.int32)),
                    "identity_code": identity.cpu(),
                    "expression_code": expression_code.cpu(),
                    **({} if detail is None else {"detail_code": detail.cpu()}),
                    "losses": torch.tensor([codes.losses[n] for n in TERMS if n in codes.losses]),
                }
            checkpoints.save(len(done), done)
            shutil.rmtree(Path(work) / UNDER_WAY, ignore_errors=True)
    arrays = {
        f"{expression}/{name}": value.numpy()
        for expression in pack.expressions
        for name, value in done[expression].items()
    }
    write_npz(out, arrays | {"loss_names": np.array(loss_names(network, config.fit))})
    checkpoints.remove()


def loss_names(model: ImFace, config: FitConfig) -> list[str]:
    """The terms that a fit has, in order."""
    absent = set() if config.landmarks else {"landmark_template"}
    if not model.config.detail_dim:
        absent |= {name for name in TERMS if name.startswith(("refined", "detail"))}
    return [name for name in TERMS if name not in absent]


def groups_of_scans(expressions: Sequence[str], config: FitConfig) -> list[list[str]]:
    """Scans that are fitted side by side: all of them where they share an identity code."""
    size = len(expressions) if config.share_identity else config.batch_scans
    return [list(expressions[i : i + size]) for i in range(0, len(expressions), size)]


def fit_scans(
    model: ImFace,
    pack: Samples,
    expressions: Sequence[str],
    config: FitConfig,
    raw: RawScans | None = None,
    work: Path | None = None,
    of: Mapping[str, Any] | None = None,
) -> Codes:
    """Codes of some scans of one person by Adam on the losses of test time.

    Losses are summed over scans, each of which has its own codes and draws its own points, so what
    a scan gets does not depend on which others are beside it. Landmarks that are not-a-number are
    unknown. With a folder ``work`` the same call, known by ``of``, goes on where it was killed, to
    the bit with as many threads; whoever owns the folder removes it. Raises TrainingError when the
    loss is no finite number.
    """
    model.requires_grad_(False)
    device = model.template_landmarks.device

    def rows_of(chosen: Sequence[str], step: int) -> Float[Tensor, "b n 7"]:
        blocks = np.stack([_block(pack, expression, step, config) for expression in chosen])
        return torch.from_numpy(blocks).to(device)

    identity, expression = start_codes(model, pack.path.stem, expressions, config)
    pose = torch.zeros(len(expressions), 7, device=identity.device, requires_grad=True)
    groups = [{"params": [identity, expression], "lr": config.learning_rate}]
    moving = raw is not None and raw.pose_rate > 0
    if moving:
        groups.append({"params": [pose], "lr": raw.pose_rate})
    rates = [group["lr"] for group in groups]
    optimiser = torch.optim.Adam(groups)
    landmarks = np.stack([landmarks_to_unit_ball(pack.landmarks(e)) for e in expressions])
    landmarks = torch.from_numpy(landmarks).to(identity.device) if config.landmarks else None
    unknowns = {"identity": identity, "expression": expression, "pose": pose}
    descent = Descent(work and work / "codes", of or {}, unknowns, optimiser)
    name = f"imface_fit {pack.path.stem}, {len(expressions)} scans"
    progress = Progress(name, config.steps, descent.steps)
    totals = descent.terms
    for step in range(descent.steps, config.steps):
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * decay(config, step)
        optimiser.zero_grad()
        totals = {}
        for part in losses.slices(len(expressions), max(1, POINTS_AT_ONCE // config.points)):
            chosen = expressions[part]
            own = identity if config.share_identity else identity[part]
            rows = rows_of(chosen, step)
            marks = None if landmarks is None else landmarks[part]
            if moving:
                rows, marks = moved(rows, marks, pose[part], raw.with_scale)
            terms = fit_terms(
                model,
                own.expand(len(chosen), -1),
                expression[part],
                rows,
                marks,
                None if raw is None else raw.truncation * FACE_TO_IMFACE.scale,
            )
            weighted = {name: getattr(config.weights, name) * term for name, term in terms.items()}
            loss = torch.stack(list(weighted.values())).sum() * len(chosen)
            loss.backward()
            for name, value in weighted.items():
                share = len(chosen) / len(expressions)
                totals[name] = totals.get(name, 0.0) + value.item() * share
        total = sum(totals.values())
        if not math.isfinite(total):
            raise TrainingError(
                f"{pack.path}, {', '.join(expressions)}: the loss is {total} at step {step} of the "
                f"fit. Lower imface.fit.learning_rate (now {config.learning_rate:g}), or check the "
                "samples' units: they are millimetres in the face frame."
            )
        optimiser.step()
        descent.note(step + 1, totals, last=step + 1 == config.steps)
        progress.update(step + 1, f"loss {total:.4g}")
    progress.close()
    log.info("fitted %s: %s", ", ".join(expressions), _listed(totals))
    identity = identity.detach().expand(len(expressions), -1)
    expression, pose = expression.detach(), pose.detach()
    detail = None
    if model.config.detail_dim:

        def placed(chosen: slice, step: int) -> Float[Tensor, "b n 7"]:
            rows = rows_of(expressions[chosen], step)
            return moved(rows, None, pose[chosen], raw.with_scale)[0] if moving else rows

        detail, of_detail = fit_details(model, identity, expression, placed, config, work, of)
        totals |= of_detail
    motions = tuple(motion(row, moving and raw.with_scale) for row in pose.cpu())
    return Codes(identity, expression, totals, motions, detail)


def fit_terms(
    model: ImFace,
    identity_code: Float[Tensor, "b ci"],
    expression_code: Float[Tensor, "b ce"],
    rows: Float[Tensor, "b n 7"],
    landmarks: Float[Tensor, "b 68 3"] | None,
    truncation: float | None = None,
) -> dict[str, Float[Tensor, ""]]:
    """The terms of test time, unweighted, named as in ``FitWeights``; ``rows`` in the unit ball.

    With ``truncation`` points whose residual exceeds it, and ``STRAY`` medians of their scan, do
    not count: truncated L1, whose limit follows how well the scan is fitted so far. Landmarks that
    are not-a-number are unknown; the term is the mean over the others.
    """
    condition = model.condition(identity_code, expression_code)
    output, gradient, _ = model.field_and_gradients(rows[..., :3], condition)
    target, normals = rows[..., 6], rows[..., 3:6]
    if truncation is not None:
        residual = (output.sdf - target).abs().detach()
        limit = STRAY * residual.median(dim=-1, keepdim=True).values
        counts = residual <= limit.clamp(min=truncation)
        # What agrees with the field already has no gradient.
        target = torch.where(counts, target, output.sdf.detach())
        normals = torch.where(counts.unsqueeze(-1), normals, gradient.detach())
    terms = {
        "sdf": losses.sdf_term(output.sdf, target),
        "normal": losses.normal_term(gradient, normals),
        "eikonal": losses.eikonal_term(gradient),
        "identity_code": losses.code_term(identity_code),
        "expression_code": losses.code_term(expression_code),
    }
    if landmarks is not None:
        known = landmarks.isfinite().all(dim=-1, keepdim=True)
        neutral, _ = model.to_neutral(
            torch.where(known, landmarks, model.template_landmarks), condition
        )
        template, _ = model.to_template(neutral, condition)
        target = model.template_landmarks.expand_as(template)
        term = losses.landmark_term(torch.where(known, template, target), target)
        terms["landmark_template"] = term * known.numel() / known.sum().clamp(min=1)
    return terms


def _block(
    pack: Samples, expression: str, step: int, config: FitConfig
) -> Float32[np.ndarray, "n 7"]:
    """A contiguous block of a scan's shuffled rows in the unit ball, by step and scan."""
    rng = generator(config.seed, "imface_fit", "points", pack.path.stem, expression, str(step))
    rows = pack.block(expression, int(rng.integers(pack.rows)), config.points)
    points, normals, sdf = to_unit_ball(rows)
    return np.concatenate([points, normals, sdf[:, None]], axis=1)


def fingerprint(config: Any, model: str | Path, device: torch.device) -> dict[str, Any]:
    """What a fit depends on besides its samples; another one does not take up this one's work."""
    folder = Path(__file__).parent
    return {
        "settings": to_settings(config),
        "code": content_hash([folder / f"{name}.py" for name in CODE]),
        "model": sha256(model),
        "device": device.type,
    }


def _listed(terms: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in terms.items())
