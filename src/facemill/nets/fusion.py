"""A learned partition of unity over space."""

from jaxtyping import Float
from torch import Tensor, nn


class FusionNet(nn.Module):
    """Points to positive weights that sum to one, k of them (ImFace's fusion network).

    Linear, LayerNorm, LeakyReLU twice, then a linear layer whose k logits are normalised as well
    before the softmax: that bounds how peaked the weights can become.
    """

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(3, width),
            nn.LayerNorm(width),
            nn.LeakyReLU(),
            nn.Linear(width, width),
            nn.LayerNorm(width),
            nn.LeakyReLU(),
            nn.Linear(width, outputs),
            nn.LayerNorm(outputs),
            nn.Softmax(dim=-1),
        )

    def forward(self, points: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n k"]:
        """Weights of every point; depends on nothing but where the point is."""
        return self.net(points)
