"""A picture of how far training is: three scans in a held-out view, truth above, model below."""

from pathlib import Path

import numpy as np
import torch

from facemill.files import writing
from facemill.mofanerf.config import SamplingConfig
from facemill.mofanerf.data import TrainingSet
from facemill.mofanerf.model import MoFaNeRF
from facemill.mofanerf.render import render_image
from facemill.render.pixels import eight_bit
from facemill.render.png import png


@torch.no_grad()
def write_preview(
    path: str | Path, model: MoFaNeRF, data: TrainingSet, sampling: SamplingConfig, count: int = 3
) -> None:
    """Write a PNG of ``count`` training scans in a held-out view, rendered along the true depth."""
    device = model.expression_codes.device
    view = data.split.test_views[0]
    columns = []
    for person, expression in data.pairs[:: max(1, len(data.pairs) // count)][:count]:
        pack, name = data.packs[person], data.split.expressions[expression]
        image, depth = pack.image(name, view), pack.depth(name, view)
        texture = torch.from_numpy(data.textures[person]).to(device)[None].float() / 255.0
        codes = model.condition(
            torch.from_numpy(data.shapes[person]).to(device)[None],
            model.expression(torch.tensor([expression], device=device)),
            model.appearance_of(torch.tensor([person], device=device), texture),
        )
        seen = render_image(model, pack.camera(view), codes, sampling, depth)
        own = eight_bit(seen.colour)
        columns.append(np.concatenate([image[..., :3] * (image[..., 3:] > 0), own]))
    with writing(path) as part:
        part.write_bytes(png(np.ascontiguousarray(np.concatenate(columns, axis=1))))
