"""Products and moves of tensors in a traced forward: each against torch itself, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from convert.from_torch import from_torch
from convert.ir import ChannelScale, GraphError, Permute, Reshape, SpikeAnd, SpikeMatMul, Unsupported
from deploy.reference import values

SHAPE = (4, 6)  # of one step: x is [T, N, 4, 6]


class Calls(nn.Module):
    """Calls one function; an identity before it, so that the forward has a layer."""

    def __init__(self, function):
        super().__init__()
        self.part, self.function = nn.Identity(), function

    def forward(self, x):
        return self.function(self.part(x))


def with_sizes(x):
    t, n, c, v = x.shape
    return x.reshape(t, n, 2, c // 2, v)


KEPT = {
    "matmul": (lambda x: torch.matmul(x.transpose(2, 3), x), [Permute, SpikeMatMul]),
    "at": (lambda x: x @ x.mT, [Permute, SpikeMatMul]),
    "method": (lambda x: x.matmul(x.permute(0, 1, 3, 2)), [Permute, SpikeMatMul]),
    "and": (lambda x: x * x, [SpikeAnd]),
    "torch.mul": (lambda x: torch.mul(x, x), [SpikeAnd]),
    "scale": (lambda x: 0.125 * x, [ChannelScale]),
    "scale behind": (lambda x: x * 3, [ChannelScale]),
    "quotient": (lambda x: x / 4, [ChannelScale]),
    "sizes": (with_sizes, [Reshape]),
    "power of a size": (lambda x: x * x.shape[2] ** -0.5, [ChannelScale]),
    "named": (lambda x: x.transpose(dim1=3, dim0=-2).flatten(end_dim=3, start_dim=2), [Permute, Reshape]),
    "size": (lambda x: x.view(x.size(0), x.size(1), -1), [Reshape]),
    "flatten": (lambda x: x.flatten(2), [Reshape]),
    "torch.flatten": (lambda x: torch.flatten(x, start_dim=2, end_dim=3), [Reshape]),
    "unflatten": (lambda x: x.unflatten(-1, (2, -1)).unflatten(2, (-1, 2)), [Reshape, Reshape]),
    "squeeze": (lambda x: x.unsqueeze(2).unsqueeze(-1).squeeze(2), [Reshape] * 3),
    "swap": (lambda x: x.unflatten(2, (2, 2)).swapaxes(-1, 2), [Reshape, Permute]),
    "permute": (lambda x: torch.permute(x.unflatten(2, (2, 2)), (0, 1, -1, 2, 3)), [Reshape, Permute]),
    "heads": (
        lambda x: x.unflatten(2, (2, -1)).mT @ x.unflatten(2, (2, -1)),
        [Reshape, Reshape, Permute, SpikeMatMul],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(KEPT))
def test_an_operation_is_what_torch_does(kind):
    """Whole numbers and powers of two: exact in float32, the tolerance is zero."""
    function, nodes = KEPT[kind]
    graph = from_torch(Calls(function), SHAPE, "binary")
    assert [type(n) for n in graph.nodes.values()][1:] == nodes
    x = (np.random.default_rng(0).random((3, 2, *SHAPE)) < 0.5).astype(np.float32)
    want = function(torch.from_numpy(x)).numpy()
    assert want.any(), "vacuous case"
    np.testing.assert_array_equal(values(graph, x)[graph.outputs[0]], want)


REFUSED = {
    "steps moved": (lambda x: x.transpose(0, 2), "transpose moves axis 0 of a tensor"),
    "samples moved": (lambda x: x.permute(1, 0, 2, 3), "permute permutes the axes of steps and samples"),
    "all flat": (lambda x: x.flatten(), "flatten moves axis 0"),
    "samples flat": (lambda x: x.flatten(1, 2), "flatten moves axis 1"),
    "steps reshaped": (lambda x: x.reshape(-1, 4, 6), "reshape gives the axes of steps and samples another"),
    "fixed steps": (lambda x: x.reshape(3, 2, 24), "reshape gives the axes of steps and samples another"),
    "steps computed": (lambda x: x.reshape(x.shape[0] * 2, 1, 12), "mul computes with the number of steps"),
    "any axis": (lambda x: x.squeeze(), "squeeze may drop the axis of steps or samples"),
    "no tensor": (lambda x: x.shape[2] * 2, "returns more than tensors"),
    "number over tensor": (lambda x: 2 / x, "truediv has no node"),
    "by zero": (lambda x: x / 0, "truediv by 0"),
    "T": (lambda x: x.T, "getattr has no node"),
    "rounded": (lambda x: torch.div(x, 4, rounding_mode="floor"), "the function div has no node"),
    "no such option": (lambda x: x.flatten(2, ord=1), "flatten with ord has no node"),
    "flat up to": (lambda x: x.flatten(end_dim=3), "flatten moves axis 0"),
    "size as factor": (lambda x: x * x.shape[0], "the function mul has no node"),
    "size by name": (lambda x: x.reshape(x.size(0), x.size(1), x.size(dim=2), -1), "tensor method size has"),
    "three": (lambda x: torch.einsum("tncv,tncw->tnvw", x, x), "einsum has no node"),
}


@pytest.mark.parametrize("kind", list(REFUSED))
def test_what_touches_steps_or_samples_is_refused(kind):
    function, words = REFUSED[kind]
    with pytest.raises(Unsupported, match=words):
        from_torch(Calls(function), SHAPE, "binary")


@pytest.mark.parametrize("function", [lambda x: x * x.unsqueeze(2), lambda x: x @ x])
def test_shapes_that_torch_would_broadcast_are_refused(function):
    with pytest.raises(GraphError, match=r"other axis is broadcast|nothing is broadcast"):
        from_torch(Calls(function), SHAPE, "binary")
