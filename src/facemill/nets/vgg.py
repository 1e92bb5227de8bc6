"""Perceptual distance: VGG19's features, where a user has its weights (Simonyan, Zisserman 2015).

The weights belong to others and are no part of the project. They are read from a file whose
checksum the user states, or not at all: random weights would be another loss.
"""

from pathlib import Path

import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from facemill.errors import DataError
from facemill.files import require_file, sha256

PLAN = (64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512)
"""Widths of the 3 x 3 convolutions up to conv5_1; M halves the picture."""

TAPS = (1, 6, 11, 20, 29)
"""After these modules (relu1_1 to relu5_1) features are compared (pix2pixHD)."""

WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
"""Their weights (pix2pixHD)."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours in [0, 1], which the weights expect to be taken off."""

HINT = (
    "Give torchvision's vgg19 weights (state dict, .pth or .safetensors) with their SHA-256, or "
    "leave the perceptual term out."
)


class PerceptualDistance(nn.Module):
    """Weighted mean absolute differences of VGG19's features; the network stands still."""

    def __init__(self, path: str | Path, checksum: str) -> None:
        """Read the weights; a missing file, another checksum or another network is a DataError."""
        super().__init__()
        modules: list[nn.Module] = []
        inputs = 3
        for step in PLAN:
            if isinstance(step, str):
                modules.append(nn.MaxPool2d(2, 2))
            else:
                modules += [nn.Conv2d(inputs, step, 3, padding=1), nn.ReLU()]
                inputs = step
        self.features = nn.Sequential(*modules)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))
        self.features.load_state_dict(_read(path, checksum, self.features))
        self.requires_grad_(False).eval()

    def forward(
        self, made: Float[Tensor, "b 3 h w"], truth: Float[Tensor, "b 3 h w"]
    ) -> Float[Tensor, ""]:
        """The distance of two batches of pictures in [-1, 1]; no gradient reaches ``truth``."""
        a = self._normalised(made)
        b = self._normalised(truth.detach())
        total = a.new_zeros(())
        weight = iter(WEIGHTS)
        for number, module in enumerate(self.features):
            a, b = module(a), module(b)
            if number in TAPS:
                total = total + next(weight) * functional.l1_loss(a, b)
        return total

    def _normalised(self, pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        return ((pictures + 1) / 2 - self.mean) / self.std


def _read(path: str | Path, checksum: str, features: nn.Module) -> dict[str, Tensor]:
    """The convolutions' weights by their names in ``features``."""
    found = sha256(require_file(path, HINT))
    if found != checksum.lower():
        raise DataError(f"{path}: SHA-256 {found}, expected {checksum}. {HINT}")
    try:
        if Path(path).suffix == ".safetensors":
            tensors = safetensors.torch.load_file(path)
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a foreign file makes a reader raise
        raise DataError(f"{path}: not a file of weights ({error}). {HINT}") from None
    wanted = {name: value.shape for name, value in features.state_dict().items()}
    chosen = {name: tensors.get(f"features.{name}") for name in wanted}
    wrong = [n for n, value in chosen.items() if value is None or value.shape != wanted[n]]
    if wrong:
        raise DataError(f"{path}: features.{wrong[0]} is missing or of another shape. {HINT}")
    return chosen
