"""Mixed precision: matrix products in 16 bits, everything that remembers in float32.

    none   float32 throughout, today's arithmetic
    bf16   torch.autocast to bfloat16: the exponent of float32, no scaling of the loss
    fp16   torch.autocast to float16, the loss scaled so that small gradients do not vanish

Norms, membranes, spikes, the loss, weights, gradients and the average stay float32 under both, as do
validation and every file: 16 bits serve the products of the training forward and backward alone.
"""

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from train.limits import AMP

TYPES: dict[str, torch.dtype | None] = dict(zip(AMP, (None, torch.bfloat16, torch.float16), strict=True))


def full(x: Tensor) -> Tensor:
    """x in float32 where mixed precision made it 16 bits, else x: for what sums over many steps or rows."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def mixed(*tensors: Tensor) -> tuple[Tensor, ...]:
    """What autocast does to the arguments of a matrix product, for products it does not see."""
    kind = tensors[0].device.type
    if not torch.is_autocast_enabled(kind):
        return tensors
    return tuple(x.to(torch.get_autocast_dtype(kind)) for x in tensors)


def unmixed(x: Tensor) -> AbstractContextManager[None]:
    """A block whose products are in the precision of what goes in: for statistics, on the device of x."""
    return torch.autocast(x.device.type, enabled=False)


class Precision:
    """The forward's context, and the backward and step that go with it."""

    def __init__(self, name: str, device: torch.device) -> None:
        self._type = TYPES[name]
        self._device = device.type
        self._scaler = torch.amp.GradScaler(device.type, enabled=name == "fp16")

    def forward(self) -> AbstractContextManager[None]:
        """The block in which the forward runs."""
        return torch.autocast(self._device, self._type or torch.bfloat16, enabled=self._type is not None)

    def step(
        self, loss: Tensor, optimizer: torch.optim.Optimizer, module: nn.Module, clip_norm: float
    ) -> None:
        """Backward, then a step of the optimiser; the module's gradients are cut to clip_norm unless it is 0.

        Under fp16 an overflow leaves the weights as they are and halves the scale, on every process alike.
        """
        optimizer.zero_grad()
        self._scaler.scale(loss).backward()
        if clip_norm:
            self._scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(module.parameters(), clip_norm)
        self._scaler.step(optimizer)
        self._scaler.update()

    def tensors(self) -> dict[str, Tensor]:
        """What a resume needs: nothing but under fp16."""
        state = self._scaler.state_dict()
        names = ("scale", "_growth_tracker") if state else ()
        return {f"scaler.{name.lstrip('_')}": torch.tensor(float(state[name])) for name in names}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Continue where `tensors` was taken; by their names without "scaler."."""
        if self._scaler.is_enabled():
            found = {"scale": tensors["scale"].item(), "_growth_tracker": int(tensors["growth_tracker"])}
            self._scaler.load_state_dict({**self._scaler.state_dict(), **found})
