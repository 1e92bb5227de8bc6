"""Contact sheets of the data: people by expressions, views of a person, one face step by step."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from facemill.data.packs import FacePack, SamplePack
from facemill.errors import DataError
from facemill.figures.errors import NOT_EVALUATED
from facemill.figures.layout import grid
from facemill.figures.shading import FACE_BOX, portrait_camera, shade
from facemill.files import read_json
from facemill.mesh.io import read_texture
from facemill.mesh.surface import Mesh
from facemill.render.cameras import Camera
from facemill.render.view_pack import ViewPack

WHITE = (255, 255, 255)


def readable(expression: str) -> str:
    """``12_lip_puckerer`` as ``lip puckerer``; a name without a number keeps all its words."""
    number, _, name = expression.partition("_")
    return (name if number.isdigit() else expression).replace("_", " ")


def data_sheet(
    faces: Sequence[str | Path],
    expressions: Sequence[str],
    out: str | Path,
    size: int = 210,
    title: str = "",
) -> None:
    """Save shaded, textured heads: one row per face pack, one column per expression.

    Textures are those that the manifest beside each pack names; without one the head is clay. All
    pictures have the same scale. A person who lacks an expression leaves its cell empty.
    """
    packs = [FacePack(path) for path in faces]
    box = _head_box(packs)
    tall = (box[1, 1] - box[0, 1]) / (box[1, 0] - box[0, 0])
    camera = portrait_camera(box, size=size, height=round(size * tall), margin=1.0)
    rows, labels = [], []
    for pack in packs:
        scans = _scans(pack.path)
        rows.append([_head(pack, scans, expression, camera) for expression in expressions])
        labels.append(pack.path.stem)
    if not any(image is not None for row in rows for image in row):
        raise DataError(
            f"{', '.join(map(str, faces))}: none of the expressions {', '.join(expressions)}; "
            "name expressions that are there."
        )
    grid(rows, out, labels, [readable(expression) for expression in expressions], title)


def _head_box(packs: Sequence[FacePack]) -> Float[np.ndarray, "2 3"]:
    """The box round a face, as high as the highest of these heads."""
    crowns = [pack.registered(pack.expressions[0]).vertices[:, 1].max() for pack in packs]
    box = FACE_BOX.copy()
    box[1, 1] = min(max(*crowns, box[1, 1]) + 6.0, 190.0)
    return box


def _head(
    pack: FacePack, scans: dict, expression: str, camera: Camera
) -> UInt8[np.ndarray, "h w 4"] | None:
    if expression not in pack.expressions:
        logging.info("%s: no %s, left empty", pack.path, expression)
        return None
    texture = scans.get(expression, {}).get("texture")
    pixels = read_texture(texture) if texture else None
    return shade(pack.registered(expression), camera, texture=pixels, background=WHITE)


def _scans(pack: str | Path) -> dict:
    """The manifest's scans beside a face pack; none if there is no manifest."""
    manifest = Path(pack).with_suffix(".json")
    return read_json(manifest)["scans"] if manifest.is_file() else {}


def views_sheet(
    views: Sequence[str | Path], out: str | Path, cell: float = 0.95, title: str = ""
) -> None:
    """Save some views of each pack: turning round the head, from below and above, depth, normals.

    One row per pack, its first expression.
    """
    rows, labels, columns = [], [], []
    for path in views:
        with ViewPack(path) as pack:
            expression = pack.expressions[0]
            names, level = _chosen_views(pack)
            images = [pack.image(expression, name)[..., :3] for name in names]
            depth, normals = pack.depth(expression, level), pack.normals(expression, level)
            packed = np.where((depth > 0)[..., None], np.round((normals + 1) * 127.5), 0)
            rows.append([*images, _grey_depth(depth), packed.astype(np.uint8)])
            labels.append(f"{Path(path).stem}\n{readable(expression)}")
            columns = [f"{n}.png" for n in names] + [f"{level} depth", f"{level} normals"]
    if not rows:
        raise DataError("views sheet: no view pack was given; name at least one.")
    grid(rows, out, labels, columns, title, cell=cell)


def _chosen_views(pack: ViewPack) -> tuple[list[str], str]:
    """Five views along the most level row, one from below, one from above; and a frontal one."""
    pitches = sorted({float(name.rsplit("_", 1)[0]) for name in pack.names})
    level = min(pitches, key=abs)
    row = [name for name in pack.names if float(name.rsplit("_", 1)[0]) == level]
    turning = [row[i] for i in sorted(set(np.linspace(0, len(row) - 1, 5).round().astype(int)))]
    middle = row[len(row) // 2]
    frontal = middle.rsplit("_", 1)[1]
    others = [f"{p:g}_{frontal}" for p in sorted({pitches[0], pitches[-1]} - {level})]
    return [*turning, *others], middle


def _grey_depth(depth: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Near is light, far is dark, nothing is black."""
    seen = depth > 0
    if not seen.any():
        return np.zeros((*depth.shape, 3), np.uint8)
    near, far = np.percentile(depth[seen], [0.5, 99.5])
    grey = 245 - 200 * np.clip((depth - near) / max(far - near, 1e-6), 0, 1)
    return np.repeat(np.where(seen, grey, 0).astype(np.uint8)[..., None], 3, axis=2)


def mesh_figure(
    faces: str | Path, samples: str | Path, expression: str, out: str | Path, size: int = 330
) -> None:
    """Save what becomes of one scan: whole, sheet, closed head, and its signed distance samples.

    The last picture is a sagittal slice 6 mm thick through the samples: surface points dark, free
    points coloured by signed distance, red in front and blue behind, zero white.
    """
    pack = FacePack(faces)
    whole, sheet, closed = (part(expression) for part in (pack.registered, pack.sheet, pack.closed))
    box = np.concatenate([whole.vertices.min(axis=0)[None], whole.vertices.max(axis=0)[None]])
    camera = portrait_camera(box, 28, size, height=round(size * 1.2))
    close = portrait_camera(sheet.vertices, 28, size, height=round(size * 1.2))
    highlighted = np.where(
        (np.linalg.norm(whole.vertices, axis=1) < 100.0)[:, None], (222, 190, 168), NOT_EVALUATED
    ).astype(np.uint8)
    pictures = [
        shade(whole, camera, colours=highlighted, background=WHITE),
        shade(sheet, close, background=WHITE),
        shade(_cut_open(closed), camera, background=WHITE),
        slice_picture(SamplePack(samples).scan(expression), size, round(size * 1.2)),
    ]
    captions = (
        f"scan, {len(whole.vertices)} vertices\ntinted: inside the 100 mm sphere",
        f"visible sheet, {len(sheet.vertices)} vertices",
        f"closed head, {len(closed.vertices)} vertices\ncut open to show the inside",
        "signed distance samples, mm\nslice |x| < 3 mm",
    )
    title = f"{Path(faces).stem}, {readable(expression)}: from scan to samples"
    grid([pictures], out, title=title, captions=[captions])


def _cut_open(mesh: Mesh) -> Mesh:
    """The mesh without the quarter that is left, above and in front, vertices kept."""
    middle = mesh.vertices[mesh.faces].mean(axis=1)
    gone = (middle[:, 0] > 0) & (middle[:, 1] > 45)
    return Mesh(mesh.vertices, mesh.faces[~gone])


def slice_picture(
    rows: Float[np.ndarray, "rows 7"], width: int, height: int, thickness: float = 6.0
) -> UInt8[np.ndarray, "h w 4"]:
    """Samples near the sagittal plane as a picture: z to the right, y up, colour by distance."""
    from facemill.figures.layout import DPI, new_figure

    near = np.asarray(rows[np.abs(rows[:, 0]) < thickness / 2])
    on_surface = near[:, 6] == 0
    free = near[~on_surface]
    figure = new_figure(width / DPI, height / DPI)
    axes = figure.add_axes((0.02, 0.14, 0.96, 0.84))
    limit = float(np.percentile(np.abs(free[:, 6]), 95)) if len(free) else 1.0
    dots = axes.scatter(
        free[:, 2], free[:, 1], c=free[:, 6], s=5, cmap="RdBu_r", vmin=-limit, vmax=limit,
        linewidths=0.15, edgecolors="#8a909966",
    )  # fmt: skip
    axes.scatter(near[on_surface, 2], near[on_surface, 1], s=0.35, color="#22262b", linewidths=0)
    axes.set_aspect("equal")
    axes.set_axis_off()
    bar = figure.add_axes((0.2, 0.1, 0.6, 0.022))
    figure.colorbar(dots, cax=bar, orientation="horizontal")
    bar.tick_params(labelsize=5.5, length=1.5, width=0.4, pad=1.5)
    bar.locator_params(nbins=5)
    for spine in bar.spines.values():
        spine.set_visible(False)
    figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba())
