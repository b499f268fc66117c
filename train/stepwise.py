"""Any stateless torch layer over time-major tensors: steps and batch are one axis for it."""

from torch import Tensor, nn


class Stepwise(nn.Module):
    """y[t, n] = module(x[t, n]) for x [T, N, *shape]: Conv2d, AvgPool2d, BatchNorm2d, Flatten and their like.

    The module must keep no state and take every sample alone (batch norm's training statistics then run
    over T and N together).
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, *shape] -> [T, N, *out]."""
        y = self.module(x.flatten(0, 1))
        return y.unflatten(0, x.shape[:2])
