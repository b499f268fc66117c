"""What is hung on a module beside its forward: hooks, a `forward` of the instance's own, calls that fail.

A neuron is counted whole, by its equation; what hooks do around it is not part of it, and is counted too.
"""

import pytest
import torch
from torch import nn

from convert.ir import Unsupported
from energy.operand import BINARY, REAL
from energy.torch_counts.counter import ModelRaised, TorchCounter
from energy.torch_counts.rules import RuleFailed
from train.layers import ChannelMix
from train.neurons import LIF

STEPS, SIZE = 4, 5
EACH = STEPS * SIZE


class Net(nn.Module):
    """A neuron, and weights that read it. x [T, 1, C, 1]: what a neuron of train/ and one of SpikingJelly's
    take."""

    def __init__(self, neuron):
        super().__init__()
        self.neuron, self.mix = neuron, nn.Linear(SIZE, 3, bias=False)

    def forward(self, x):
        return self.mix(self.neuron(x))


def foreign():
    """A class that passes for SpikingJelly's."""

    def forward(self, x):
        return (x > 0).float()

    about = {"__module__": "spikingjelly.activation_based.neuron", "forward": forward}
    forward.__module__ = about["__module__"]
    return type("LIFNode", (nn.Module,), about)()


def ours():
    return LIF(threshold=0.3)


def counted(model):
    x = torch.randn(STEPS, SIZE, generator=torch.Generator().manual_seed(5))
    return TorchCounter(model, time_major=True).count(x)[1]


BOTH = pytest.mark.parametrize("make", [foreign, ours])


def told(counts):
    """neuron steps, MACs, ACs, operand class of the last layer"""
    totals = [int(counts.total(field)[0]) for field in ("neuron_steps", "mac", "ac")]
    return [*totals, int(counts["mix"].classes[0])]


@BOTH
def test_a_hook_that_looks_changes_nothing(make):
    plain, watched = Net(make()), Net(make())
    watched.load_state_dict(plain.state_dict())
    seen = []
    watched.neuron.register_forward_pre_hook(lambda m, args: seen.append(args[0].shape))
    watched.neuron.register_forward_hook(lambda m, args, out: seen.append(out.sum()))
    without, beside = counted(plain), counted(watched)
    assert seen and told(without)[-1] == BINARY and without.total("spikes_out")[0] > 0
    for field in ("neuron_steps", "neuron_adds", "spikes_out", "sop_exact"):
        assert (without[field_line(field)].counts[field] == beside[field_line(field)].counts[field]).all()
    # the sum that the hook works out is work of its own, on a line of its own
    assert {line.name for line in beside.lines} - {line.name for line in without.lines} == {"neuron.sum"}


def field_line(field):
    return "mix" if field == "sop_exact" else "neuron"


@BOTH
def test_what_a_hook_makes_of_the_output_is_counted(make):
    """Spikes scaled by a hook are no spikes, and the scale is an operation a spike."""
    net = Net(make())
    net.neuron.register_forward_hook(lambda m, args, out: 0.5 * out)
    counts = counted(net)
    spikes = int(counts["neuron"].counts["spikes_out"][0])
    assert told(counts) == [EACH, 3 * spikes, spikes, REAL] and not counts.uncounted
    assert counts["neuron.mul"].counts["ac"][0] == spikes > 0


@BOTH
def test_what_a_hook_makes_of_the_input_is_counted(make):
    net = Net(make())
    net.neuron.register_forward_pre_hook(lambda m, args: (2.0 * args[0],))
    counts = counted(net)
    spikes = int(counts["neuron"].counts["spikes_out"][0])
    assert told(counts) == [EACH, EACH, 3 * spikes, BINARY] and not counts.uncounted and spikes
    assert counts["neuron.mul"].counts["mac"][0] == EACH


def test_a_hook_inside_a_module_counted_whole_is_counted():
    """Then its code is, operation by operation: what lies inside is not left to an equation."""

    def of(hooked):
        net = Net(foreign())
        net.neuron.part = nn.Identity()
        kind = type(net.neuron)
        kind.forward = lambda self, x: (self.part(x) > 0).float()
        kind.forward.__module__ = kind.__module__
        if hooked:
            net.neuron.part.register_forward_hook(lambda m, args, out: out * out)
        return counted(net)

    assert of(False)["neuron"].counts["neuron_multiplies"][0] == EACH  # LIFNode's
    assert of(True)["neuron.part.mul"].counts["mac"][0] == EACH and not of(True).uncounted
    assert of(True).total("neuron_multiplies")[0] == 0


def test_hooks_with_keywords_and_weights_counted_whole():
    mix = ChannelMix(SIZE, 2)
    mix.register_forward_pre_hook(lambda m, args, kw: ((args[0] * args[0],), kw), with_kwargs=True)
    mix.register_forward_hook(lambda m, args, kw, out: out + out, with_kwargs=True)
    net = nn.Sequential(mix)
    x = torch.randn(STEPS, SIZE, 6, 1)
    counts = TorchCounter(net, time_major=True).count(x)[1]
    assert counts["0"].counts["mac"][0] == 2 * x.numel() and counts["0.mul"].counts["mac"][0] == x.numel()
    assert counts["0.add"].counts["residual_adds"][0] == STEPS * 2 * 6 and not counts.uncounted


def test_a_layers_line_is_its_own_operation_whatever_its_hooks_do():
    layer = nn.Linear(SIZE, 3)
    layer.register_forward_pre_hook(lambda m, args: (args[0] * 2.0,))
    layer.register_forward_hook(lambda m, args, out: out.relu())
    counts = TorchCounter(nn.Sequential(layer)).count(torch.ones(SIZE))[1]
    assert [(line.name, line.type) for line in counts.lines] == [
        ("0.mul", "mul"), ("0", "Linear"), ("0.relu", "relu"),
    ]  # fmt: skip
    assert counts["0"].counts["mac"][0] == 3 * SIZE


@BOTH
def test_a_forward_of_the_instances_own_is_counted_by_its_code(make):
    net = Net(make())
    net.neuron.forward = lambda x: (x * x > 0.1).float()
    counts = counted(net)
    assert told(counts)[:2] == [EACH, EACH] and not counts.uncounted
    assert counts.total("neuron_multiplies")[0] == 0


def test_a_method_of_the_instances_own_is_counted_by_its_code():
    kind = type(foreign())
    charge = kind.forward
    kind.neuronal_charge = lambda self, x: x
    kind.neuronal_charge.__module__ = kind.__module__
    kind.forward = lambda self, x: charge(self, self.neuronal_charge(x))
    kind.forward.__module__ = kind.__module__
    net = Net(kind())
    assert counted(net).total("neuron_multiplies")[0] == EACH
    net.neuron.neuronal_charge = lambda x: x * x
    assert told(counted(net))[:2] == [EACH, EACH]
    del net.neuron.neuronal_charge
    kind.neuronal_charge = lambda self, x: x * x  # of the class, by other hands than its library's
    assert told(counted(net))[:2] == [EACH, EACH]


@BOTH
def test_an_operand_given_by_name(make):
    class Named(Net):
        def forward(self, x):
            name = "a" if isinstance(self.neuron, LIF) else "x"
            return self.mix(self.neuron(**{name: x}))

    counts = counted(Named(make()))
    assert told(counts)[0] == EACH and not counts.uncounted


@BOTH
def test_a_call_that_fails_and_is_caught_hides_nothing_behind_it(make):
    class Careful(Net):
        def forward(self, x):
            try:
                x = self.neuron(x, 1, 2, 3, 4)  # not what it takes
            except TypeError:
                x = x * x
            return self.mix(x)

    counts = counted(Careful(make()))
    assert counts.total("mac")[0] == EACH + 3 * EACH and counts["model.mul"].counts["mac"][0] == EACH
    assert [(u.node, u.type) for u in counts.uncounted] == [("neuron", "call that failed")]


def test_a_rule_that_fails_is_not_swallowed_by_the_model(monkeypatch):
    from energy.torch_counts import counter
    from energy.torch_counts.rules import Rules

    sick = Rules()
    sick.operation("sin")(lambda call: 1 / 0)
    monkeypatch.setattr(counter, "RULES", sick)

    class Careful(nn.Module):
        def forward(self, x):
            try:
                return x.sin()
            except Exception:
                return x

    with pytest.raises(RuleFailed, match="sin of model"):
        TorchCounter(Careful()).count(torch.ones(3))


@BOTH
def test_a_hook_on_every_module_is_refused_where_a_module_is_counted_whole(make):
    """It runs before any hook of a module's own: what it makes of a neuron's output is not to be seen."""
    handle = nn.modules.module.register_module_forward_hook(lambda m, args, out: None)
    try:
        with pytest.raises(Unsupported, match=r"neuron.*register_module_forward_hook.*remove"):
            counted(Net(make()))
        assert counted(Net(nn.Identity())).total("mac")[0] == 3 * EACH
    finally:
        handle.remove()


def test_the_model_keeps_its_hooks_and_no_others():
    net = Net(ours())
    kept = net.neuron.register_forward_hook(lambda m, args, out: None)
    net.mix.register_forward_hook(lambda m, args, out: 1 / 0)
    with pytest.raises(ModelRaised):
        counted(net)
    hooks = [m._forward_hooks | m._forward_pre_hooks for m in net.modules()]
    assert [len(h) for h in hooks] == [0, 1, 1] and kept.id in hooks[1]
