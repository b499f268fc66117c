"""Numbers that a module's code writes down itself, `torch.tensor([1.0, 2.0])`, `x[:, [0, 3]]`, are constants.

Dispatch does not show where such a tensor comes from: `torch.tensor(y.tolist())` looks the same. So every way
by which values leave torch is watched. Until one of them was taken, what is made of Python's or numpy's
numbers cannot hold any of the sample's; after it, it may, and stays a tensor out of sight (`Trace.note`).
`torch.from_numpy` is not to be watched: what it gives is out of sight always.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten

from energy.torch_counts.note import constant

if TYPE_CHECKING:
    from energy.torch_counts.trace import Trace

LEAVES = frozenset((
    Tensor.numpy, Tensor.tolist, Tensor.item, Tensor.__array__, Tensor.__float__, Tensor.__int__,
    Tensor.__index__, Tensor.__complex__, Tensor.__dlpack__, Tensor.data_ptr, Tensor.storage,
    Tensor.untyped_storage, Tensor.__reduce_ex__,
))  # fmt: skip
"""Ways by which a tensor's values become numbers that torch does not see."""
PLACES = {Tensor.__getitem__: 1, Tensor.__setitem__: 1}
TAKEN = {torch.tensor: 0, torch.as_tensor: 0, torch.asarray: 0, Tensor.new_tensor: 1}
"""Functions that take numbers in -> place of the numbers among the arguments."""


class Literals(TorchFunctionMode):
    """Beside a trace: tells it which tensors are made of numbers alone."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self._trace, self._left = trace, False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in LEAVES and not self._trace.aloof:
            self._left = True
        if self._left or self._trace.aloof or not self._numbers(func, args):
            return func(*args, **kwargs)
        with self._trace.taking_numbers():
            out = func(*args, **kwargs)
        if isinstance(out, Tensor) and out not in self._trace:
            self._trace.source(out, constant())
        return out

    def _numbers(self, func: Any, args: Any) -> bool:
        """Whether the call takes numbers in, beside them no tensor but weights, or places that are known."""
        place = PLACES.get(func, TAKEN.get(func))
        if place is None or len(args) <= place:
            return False
        read = args if func in PLACES else args[place]
        tensors = [t for t in tree_flatten(read)[0] if isinstance(t, Tensor)]
        if func in PLACES:
            return all(t in self._trace for t in tensors)
        return all(t in self._trace and self._trace.note(t).cell.constant for t in tensors)
