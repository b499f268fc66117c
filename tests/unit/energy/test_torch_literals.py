"""Numbers written down in a module's code are constants; the sample's that come back as numbers are not."""

import numpy as np
import pytest
import torch
from torch import nn

from energy.operand import BINARY
from energy.torch_counts.counter import TorchCounter
from train.neurons import LIF

SCALE = np.array([1.0, 2.0, 3.0], np.float32)


class Net(nn.Module):
    """Four values to three by weights, then whatever a test does."""

    def __init__(self, function):
        super().__init__()
        self.function, self.fc = function, nn.Linear(4, 3, bias=False)

    def forward(self, x):
        return self.function(self, x)


def counted(function, x=None, **more):
    x = torch.tensor([0.5, -1.0, 2.0, 0.25]) if x is None else x
    return TorchCounter(Net(function), **more).count(x)[1]


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: m.fc(x) * torch.tensor([1.0, 2.0, 3.0]),
        lambda m, x: m.fc(x) * torch.as_tensor(SCALE),
        lambda m, x: m.fc(x) * x.new_tensor([1.0, 2.0, 3.0]),
        lambda m, x: m.fc(x[:, [3, 2, 1, 0]]) * 2,
        lambda m, x: m.fc(x)[:, [True, True, True]] * 2,
        lambda m, x: m.fc(x)[:, np.array([2, 1, 0])] * 2,
        lambda m, x: m.fc(x) * torch.tensor([m.fc.weight[0, 0] * 0 + 1, 2.0, 3.0]),
    ],
)
def test_numbers_of_the_code_are_constants(function):
    """12 MACs of the layer, one for each of its three outputs."""
    counts = counted(function)
    assert not counts.uncounted and counts.total("mac")[0] == 12 + 3


def test_written_at_places_of_a_list():
    def write(m, x):
        y = m.fc(x)
        y[:, [0, 2]] = torch.tensor([5.0, 6.0])
        return y

    assert not counted(write).uncounted


def gone(way):
    """The sample's values, taken out of torch and back in; numbers of the code after them cannot be told from
    them any more."""
    return [
        lambda m, x: m.fc(x) * torch.tensor(way(m.fc(x))),
        lambda m, x: (way(x), m.fc(x) * torch.tensor(SCALE))[1],
    ]


@pytest.mark.parametrize("nth", [0, 1])
@pytest.mark.parametrize(
    "way",
    [
        lambda y: y.tolist(),
        lambda y: y.numpy(),
        lambda y: np.asarray(y),
        lambda y: [float(v) for v in y[0]],
        lambda y: [int(v) for v in y[0]],
        lambda y: [v.item() for v in y[0]],
        lambda y: np.from_dlpack(y).copy(),
    ],
)
def test_what_left_and_came_back_is_listed(way, nth):
    counts = counted(gone(way)[nth])
    assert {u.type for u in counts.uncounted} == {"untracked tensor"}


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: m.fc(x) * torch.tensor([x[0, 0], x[0, 1], 1.0]),
        lambda m, x: m.fc(x) * torch.from_numpy(SCALE),  # no one is told of the call
        lambda m, x: m.fc(x) * torch.from_numpy(SCALE)[[0, 1, 2]],  # nor do places make a constant of it
    ],
)
def test_a_list_of_the_samples_values_is_not_written_down(function):
    assert {u.type for u in counted(function).uncounted} == {"untracked tensor"}


def test_what_a_module_counted_whole_does_inside_leaves_nothing():
    """Its kernel reads numpy's arrays; what the code writes down behind it is a constant all the same."""

    class Spiking(nn.Module):
        def __init__(self):
            super().__init__()
            self.lif, self.fc = LIF(threshold=0.3), nn.Linear(5, 3, bias=False)

        def forward(self, x):
            return self.fc(self.lif(x)) * torch.tensor([1.0, 2.0, 3.0])

    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(5))
    counts = TorchCounter(Spiking(), time_major=True).count(x)[1]
    assert not counts.uncounted and counts["fc"].classes[0] == BINARY and counts.total("spikes_out")[0] > 0
