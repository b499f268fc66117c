"""Models that no graph can say: hidden state, loops, branches, unknown layers; refused by name and reason."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convert.from_torch import from_torch
from convert.ir import Unsupported
from train import neurons
from train.stepwise import Stepwise


class Writes(nn.Module):
    """A neuron that keeps its membrane between calls, as many libraries have it."""

    def __init__(self, mem=None):
        super().__init__()
        self.fc, self.mem = nn.Linear(2, 2), mem

    def forward(self, x):
        self.mem = self.fc(x)
        return self.mem


class Appends(nn.Module):
    def __init__(self):
        super().__init__()
        self.past = []

    def forward(self, x):
        self.past.append(x)
        return x + self.past[0]


class Reads(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mem", torch.zeros(2))

    def forward(self, x):
        return x + self.mem


class Loops(nn.Module):
    def forward(self, x):
        return torch.stack([step + step for step in x])


class Branches(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else x + x


class Calls(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Changed(nn.Conv2d):
    """A layer of a known type whose forward is another."""

    def forward(self, x):
        return super().forward(x) * 2


class Centred(nn.Conv2d):
    """A layer of a known type whose forward is the type's own, but not what it calls."""

    def _conv_forward(self, x, weight, bias):
        return super()._conv_forward(x, weight - weight.mean(), bias)


class Louder(neurons.LIF):
    """The same of a neuron."""

    def run(self, a, state=None):
        return super().run(3 * a, state)


def patched():
    """A layer that was given another forward."""
    found = neurons.LIF()
    found.forward = lambda a: a
    return Stepwise(found)


class TwoArguments(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Bilinear(2, 2, 2)

    def forward(self, x, y):
        return self.fc(x, y)


class Extra(nn.Module):
    """Calls a known layer with more than it takes."""

    def __init__(self):
        super().__init__()
        self.lif = neurons.LIF()

    def forward(self, x):
        return self.lif(x, x)


REFUSED = {
    "attribute written": (Writes(), (2,), "^part: hidden state: forward writes the attribute 'mem'"),
    "list that grows": (Appends(), (2,), "^part: hidden state: forward writes the attribute 'past'"),
    "buffer read": (Reads(), (2,), "^part.mem: forward reads this tensor outside a known layer"),
    "recurrent": (nn.LSTM(2, 2), (2,), "^part: LSTM keeps hidden state"),
    "recurrent cell": (nn.GRUCell(2, 2), (2,), "^part: GRUCell "),
    "loop over steps": (Loops(), (2,), "^Model: its forward cannot be traced"),
    "branch on data": (Branches(), (2,), "^Model: its forward cannot be traced"),
    "function": (Calls(torch.sigmoid), (2,), "the function sigmoid has no node"),
    "scalar quotient": (Calls(lambda x: 1.0 / x), (2,), "the function truediv has no node"),
    "scalar sum": (Calls(lambda x: x + 1.0), (2,), "the function add has no node"),
    "scaled sum": (Calls(lambda x: torch.add(x, x, alpha=2)), (2,), "the function add has no node"),
    "method": (Calls(lambda x: x.sigmoid()), (2,), "the tensor method sigmoid has no node"),
    "unknown module": (nn.Sigmoid(), (2,), "^part: Sigmoid has no node"),
    "unknown in steps": (Stepwise(nn.PixelShuffle(2)), (4, 4, 4), "^part: PixelShuffle has no node"),
    "changed forward": (Changed(1, 1, 1), (1, 4, 4), "^part.weight: forward reads this tensor"),
    "changed in steps": (Stepwise(Changed(1, 1, 1)), (1, 4, 4), "^part: Changed has no node"),
    "changed inside": (Stepwise(Centred(1, 1, 1)), (1, 4, 4), "^part: Centred has no node"),
    "changed neuron": (Stepwise(Louder()), (2,), "^part: Louder has no node"),
    "changed instance": (patched(), (2,), "^part: LIF has no node"),
    "linear over an axis": (nn.Linear(4, 2), (3, 4), "^part: Linear over the last axis"),
    "circular padding": (
        Stepwise(nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")),
        (1, 4, 4),
        "^part: padding",
    ),
    "padding in words": (Stepwise(nn.Conv2d(1, 1, 3, padding="same")), (1, 4, 4), "^part: padding 'same'"),
    "no statistics": (
        Stepwise(nn.BatchNorm2d(1, track_running_stats=False)),
        (1, 2, 2),
        "^part: batch norm without",
    ),
    "padded pool": (Stepwise(nn.AvgPool2d(2, padding=1)), (1, 4, 4), "^part: average pooling with padding"),
    "ceiling pool": (Stepwise(nn.AvgPool2d(2, ceil_mode=True)), (1, 5, 5), "^part: average pooling"),
    "batch flattened": (nn.Flatten(), (2, 2), r"^part: Flatten\(1, -1\)"),
    "too little flattened": (Stepwise(nn.Flatten(2)), (2, 2, 2), r"^part: Flatten\(2, -1\)"),
    "bare convolution": (nn.Conv2d(1, 1, 1), (1, 4, 4), "^part: Conv2d mixes steps and batch"),
    "bare norm": (nn.BatchNorm1d(3), (3,), "^part: BatchNorm1d mixes steps and batch"),
    "more arguments": (Extra(), (2,), "^part.lif: is called with more than one tensor"),
    "a dictionary": (Calls(lambda x: {"x": x}), (2,), "^output: the model returns more than tensors"),
}


class Model(nn.Module):
    """A model around the part that is refused, so that the message must name the part."""

    def __init__(self, part):
        super().__init__()
        self.part = part

    def forward(self, x):
        return self.part(x)


@pytest.mark.parametrize("kind", list(REFUSED))
def test_what_has_no_meaning_here_is_refused_by_name(kind):
    part, shape, words = REFUSED[kind]
    with pytest.raises(Unsupported, match=words) as caught:
        from_torch(Model(part), shape)
    assert caught.value.exit_code == 4
    assert caught.value.remedy and "\n" not in str(caught.value)


def test_a_second_input_is_refused():
    with pytest.raises(Unsupported, match=r"^y: the model has a second input"):
        from_torch(TwoArguments(), (2,))


def test_hidden_state_is_left_as_it_was_found():
    """An attribute gets its old value back; one that forward made is gone; a list is as long as before."""
    part, grown = Writes(mem="before"), Appends()
    for model in (part, grown):
        with pytest.raises(Unsupported):
            from_torch(model, (2,))
    assert part.mem == "before"
    assert grown.past == []
