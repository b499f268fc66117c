"""Operations of torch modules, one after the other: what each costs, and of what class its result is.

The eleven cases of the reference (section 10.2) with its truths; its shapes are not given, so these are
shapes that have the same truth.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from energy.conventions import convention
from energy.operand import BINARY, INTEGER, REAL, TERNARY
from energy.operations import operations
from energy.sheet import Sheet
from energy.torch_counts.counter import TorchCounter
from energy.torch_counts.fourier import fft_ops
from energy.torch_counts.settings import Settings
from train.neurons import LIF
from train.stepwise import Stepwise


class Fn(nn.Module):
    """A function of the input, with modules it may use."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def counted(model, x, settings=None, **options):
    return TorchCounter(model, settings, **options).count(x)[1]


def dense(counts):
    return int(counts.total("dense_mac")[0])


def rnd(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def lif_net():
    layers = [
        Stepwise(nn.Conv2d(2, 4, 3, padding=1)), Stepwise(nn.BatchNorm2d(4)), LIF(threshold=0.1),
        Stepwise(nn.Conv2d(4, 8, 3, 2, 1)), Stepwise(nn.BatchNorm2d(8)), LIF(threshold=0.1),
        Stepwise(nn.AvgPool2d(2)), Stepwise(nn.Flatten()), Stepwise(nn.Linear(32, 5)),
    ]  # fmt: skip
    return nn.Sequential(*layers)


def test_case_1_and_2_a_lif_conv_net():
    """Plain layers in a wrapper, as SpikingJelly's are: counted all the same."""
    counts = counted(lif_net(), rnd(4, 2, 8, 8), time_major=True)
    assert dense(counts) == 37504 and not counts.uncounted
    assert counts.total("neuron_steps")[0] == 1536 and counts.total("spikes_out")[0] > 0


CASES = {
    "3 attention": (lambda m, x: (x @ x.transpose(-1, -2)) @ x, (2, 16, 32), 32768),
    "4 einsum": (lambda m, x: torch.einsum("nctv,vw->nctw", x, m.a), (3, 10, 25), 18750),
    "5 fused attention": (lambda m, x: F.scaled_dot_product_attention(x, x, x), (2, 16, 32), 32768),
    "6 multihead attention": (lambda m, x: m.mha(x, x, x, need_weights=False)[0], (16, 8), 16384 // 2),
    "7 lstm": (lambda m, x: m.lstm(x)[0], (8, 16), 16384),
    "9 transposed convolution": (lambda m, x: m.up(x), (3, 4, 4), 1536),
    "10 depthwise convolution": (lambda m, x: m.deep(x), (4, 8, 8), 2304),
    "11 max pool and residual": (lambda m, x: F.max_pool2d(x + x, 2), (4, 8, 8), 0),
}


def parts():
    return {
        "a": nn.Parameter(torch.ones(25, 25)), "mha": nn.MultiheadAttention(8, 2, batch_first=True),
        "lstm": nn.LSTM(16, 16, batch_first=True), "up": nn.ConvTranspose2d(3, 8, 2, 2),
        "deep": nn.Conv2d(4, 4, 3, padding=1, groups=4),
    }  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_cases_3_to_11(name):
    function, shape, truth = CASES[name]
    counts = counted(Fn(function, **parts()), rnd(*shape))
    assert dense(counts) == truth and not counts.uncounted
    # the fused LSTM's first hidden state is zero: 4 H H products fewer than dense
    less = {"7 lstm": 4 * 16 * 16}.get(name, 0)
    inbounds = {"10 depthwise convolution": 4 * 22 * 22}.get(name, truth)
    assert counts.total("mac")[0] == inbounds - less and counts.total("ac")[0] == 0
    if name.startswith("11"):
        assert counts.total("residual_adds")[0] == 256 and counts.total("neuron_compares")[0] == 3 * 64


def test_case_8_fourier_transforms():
    n = 16
    counts = counted(Fn(lambda m, x: torch.fft.rfft(x)), rnd(3, n))
    real = 2 * counts.total("dense_mac")[0] + counts.total("residual_adds")[0]
    assert real == 3 * 5 * n * math.log2(n) / 2
    assert fft_ops((3, n), (1,), (3, n), False) == (3 * 2 * n * 4, 3 * n * 4)  # complex: 5 N log2 N each


def test_log_sum_exp_is_shifted_by_the_maximum():
    """max + log(sum(exp(x - max))) of 3 lines of 16: subtractions, the sum, max added back; exp and log."""
    counts = counted(Fn(lambda m, x: torch.logsumexp(x, -1)), rnd(3, 16))
    assert counts.total("neuron_compares")[0] == 3 * 15
    assert counts.total("neuron_adds")[0] == 3 * (16 + 15 + 1)
    assert counts.total("neuron_multiplies")[0] == 3 * (16 + 1) and not counts.uncounted


@given(st.data())
def test_convolutions_by_brute_force(data):
    draw = data.draw
    rank, groups = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2]))
    sides = [draw(st.integers(3, 6)) for _ in range(rank)]
    k = [draw(st.integers(1, 3)) for _ in range(rank)]
    stride, pad, dil = draw(st.integers(1, 3)), draw(st.integers(0, 2)), draw(st.integers(1, 2))
    kind = draw(st.booleans())
    layers = (
        (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
        if kind
        else (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    )
    if not kind and any(
        d * (q - 1) + 1 > s + 2 * pad for d, q, s in zip([dil] * rank, k, sides, strict=True)
    ):
        return
    if kind and any(
        (s - 1) * stride - 2 * pad + dil * (q - 1) + 1 < 1 for s, q in zip(sides, k, strict=True)
    ):
        return
    layer = layers[rank - 1](2, 4, tuple(k), stride, pad, dilation=dil, groups=groups, bias=False)
    with torch.no_grad():
        layer.weight.flatten()[:: draw(st.integers(2, 5))] = 0
    x = (rnd(2, *sides) > 0.3).float()
    line = counted(layer, x, operand="binary")["model"]
    geometry = (None, [stride] * rank, [pad] * rank, [dil] * rank, kind, [0] * rank, groups)

    def run(a, w):
        return torch.ops.aten.convolution(a[None], w, *geometry)

    # all positive, so that the sum of outputs is the number of pairs (value, weight) that met
    assert line.counts["sop_exact"][0] == run(x.double(), torch.ones_like(layer.weight).double()).sum()
    assert line.counts["sop_nonzero"][0] == run(x.double(), (layer.weight != 0).double()).sum()
    every = run(torch.ones_like(x).double(), torch.ones_like(layer.weight).double()).sum()
    assert line.counts["dense_mac_inbounds"][0] == every
    assert line.counts["ac"][0] == line.counts["sop_exact"][0] and line.counts["mac"][0] == 0


def operand(function, x=None, operand="binary", **parts_):
    """Class of what a last linear layer reads behind `function`."""
    x = (rnd(6) > 0).float() if x is None else x
    out = function(Fn(None, **parts_), x[None])
    head = nn.Linear(out.shape[-1], 2)
    counts = counted(Fn(lambda m, x: m.head(function(m, x)), head=head, **parts_), x, operand=operand)
    return int(counts["head"].classes[0]), counts["head"].spike_input


@pytest.mark.parametrize(
    "function, want",
    [
        (lambda m, x: x, BINARY),
        (lambda m, x: x.reshape(1, 2, 3).permute(0, 2, 1).flatten(1), BINARY),
        (lambda m, x: torch.cat([x, x[:, :2]], 1), BINARY),
        (lambda m, x: x + x, INTEGER),
        (lambda m, x: x + x.flip(1) * 0.5, REAL),
        (lambda m, x: -x, TERNARY),
        (lambda m, x: torch.cat([x, -x], 1), TERNARY),
        (lambda m, x: x * x.flip(1), BINARY),
        (lambda m, x: (x.sin() > 0.3).float(), BINARY),
        (lambda m, x: x.sin().sign(), TERNARY),
        (lambda m, x: (3 * x.sin()).round(), INTEGER),
        (lambda m, x: x / 2, REAL),
        (lambda m, x: x.relu(), REAL),
        (lambda m, x: torch.ones_like(x) * x, REAL),  # scaled by a weight, though by ones
        (lambda m, x: F.max_pool1d(x, 2), BINARY),
        (lambda m, x: torch.zeros(1, 6).copy_(x), BINARY),
        (lambda m, x: torch.stack([x, x], 1).sum(1), INTEGER),
    ],
)
def test_classes_are_inherited(function, want):
    assert operand(function)[0] == want


def test_values_written_into_a_part_belong_to_the_whole():
    def written(parts):
        def function(m, x):
            y = torch.zeros(1, 6)
            y[:, :3] = x[:, :3]
            if parts > 1:
                y[:, 3:] = x.sin()[:, 3:]
            return y

        return function

    assert (operand(written(1))[0], operand(written(2))[0]) == (BINARY, REAL)


def test_recurrent_layers_and_foreign_neurons():
    gru = counted(Fn(lambda m, x: m.gru(x)[0], gru=nn.GRU(4, 8, batch_first=True)), rnd(5, 4))
    products = sum(int(gru.of(line, "dense_mac")[0]) for line in gru.lines if line.type == "addmm")
    # the module makes its first state of zeros: a constant, whose product is worked out once
    assert products == 5 * 3 * 8 * 4 + 4 * 3 * 8 * 8 and not gru.uncounted
    backwards = nn.LSTM(4, 8, batch_first=True, bidirectional=True)
    lstm = counted(Fn(lambda m, x: m.lstm(x)[0], lstm=backwards), rnd(5, 4))
    assert dense(lstm) == 2 * 5 * 4 * 8 * (4 + 8)
    assert lstm.total("mac")[0] == dense(lstm) - 2 * 4 * 8 * 8  # each way starts from a state of zeros

    class LIFNode(nn.Module):
        __module__ = "spikingjelly.activation_based.neuron"

        def forward(self, x):
            return (x > 0).float()

        forward.__module__ = __module__

    counts = counted(nn.Sequential(LIFNode(), nn.Linear(6, 2)), rnd(6))
    ops = [int(counts.total(f"neuron_{k}")[0]) for k in ("steps", "multiplies", "adds", "compares")]
    assert ops == [6, 6, 12, 6] and counts["1"].classes[0] == BINARY
    assert counts.total("spikes_out")[0] == (rnd(6) > 0).sum()


def test_what_a_mask_hides_is_not_counted():
    causal = Fn(lambda m, x: F.scaled_dot_product_attention(x, x, x, is_causal=True))
    counts = counted(causal, rnd(2, 8, 4))
    assert counts.total("mac")[0] == 2 * 2 * 36 * 4 and dense(counts) == 2 * 2 * 64 * 4


def test_a_silent_network_is_not_called_binary():
    """Zeros of a real producer are real, zeros of neurons are spikes; weights of ones are no spikes."""
    quiet = torch.zeros(6)
    assert operand(lambda m, x: x, quiet, "real") == (REAL, False)
    assert operand(lambda m, x: x.relu(), quiet, "real") == (REAL, False)
    assert operand(lambda m, x: (x > 1).float(), quiet, "real") == (BINARY, True)
    assert operand(lambda m, x: x + x, quiet) == (INTEGER, True)
    ones = nn.Linear(6, 6, bias=False)
    nn.init.ones_(ones.weight)
    counts = counted(nn.Sequential(ones), rnd(6))
    assert counts["0"].classes.tolist() == [REAL] and counts.total("ac")[0] == 0


def test_spikes_that_do_not_meet_stay_spikes():
    apart = torch.tensor([1.0, 0, 1, 0])
    assert operand(lambda m, x: x + x.roll(1, 1), apart)[0] == BINARY
    assert operand(lambda m, x: x + x, apart)[0] == INTEGER


def test_weights_alone_cost_nothing_and_adjacencies_may_skip_zeros():
    def graph(m, x):
        return torch.einsum("nctv,vw->nctw", x, m.A * m.edge)

    eye = torch.eye(5)
    model = Fn(graph, edge=nn.Parameter(torch.ones(5, 5)))
    model.register_buffer("A", eye)
    plain, skipped = (
        counted(model, rnd(2, 3, 5), Settings(skip_zero_adjacency=skip)) for skip in (False, True)
    )
    assert (plain.total("mac")[0], skipped.total("mac")[0]) == (2 * 3 * 25, 2 * 3 * 5)
    assert len(plain.lines) == 1 and plain.total("sop_nonzero")[0] == 30
    # a switch of the convention, as the command line has it, leaves out the same
    for switch, left in (("zero_adjacency", 30), ("zero_weights", 150), ("padding", 150)):
        value = {"padding": "dense"}.get(switch, "skipped")
        ops = operations(Sheet(plain), replace(convention("exact"), **{switch: value}))
        assert ops["compute"]["mac"].sum() == left
    dense = nn.Linear(5, 5, bias=False)  # all of it trained: its zeros are weights
    nn.init.eye_(dense.weight)
    ops = operations(Sheet(counted(dense, rnd(5))), replace(convention("exact"), zero_adjacency="skipped"))
    assert ops["compute"]["mac"].sum() == 25


def test_norms_fold_where_weights_alone_are_in_front():
    x = rnd(3, 8, 8)
    folded = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4))
    counts = counted(folded, x)
    assert counts.total("scale_macs")[0] == 0 and counts.total("bias_adds")[0] == 4 * 36
    apart = counted(folded, x, Settings(fold_norm=False))
    assert apart.total("scale_macs")[0] == 4 * 36 and apart.total("bias_adds")[0] == 0
    late = counted(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)), x)
    assert late.total("scale_macs")[0] == 4 * 36
    twice = Fn(
        lambda m, x: (lambda y: m.norm(y) + y)(m.conv(x)), conv=nn.Conv2d(3, 4, 3), norm=nn.BatchNorm2d(4)
    )
    assert counted(twice, x).total("scale_macs")[0] == 4 * 36  # somebody else reads what is not normalised


def test_softmax_layer_norm_and_activations():
    n = 8
    soft = counted(Fn(lambda m, x: x.softmax(-1)), rnd(3, n))
    ops = [int(soft.total(f"neuron_{k}")[0]) for k in ("multiplies", "adds", "compares")]
    assert ops == [3 * 2 * n, 3 * (2 * n - 1), 3 * (n - 1)]
    layer = counted(nn.LayerNorm(n), rnd(3, n))
    ops = [int(layer.total(k)[0]) for k in ("neuron_multiplies", "neuron_adds", "scale_macs")]
    assert ops == [2 * 3 * n + 3 * 3, 3 * 3 * n - 3, 3 * n]
    assert counted(nn.ReLU(), rnd(3, n)).total("neuron_compares")[0] == 3 * n


def test_a_pool_of_spikes_folds_into_weights_alone():
    def net(m, x):
        return m.fc(F.avg_pool2d((x > 0).float(), 2).flatten(1))

    x = rnd(1, 4, 4)
    model = Fn(net, fc=nn.Linear(4, 3))
    spikes, windows = (x > 0), F.avg_pool2d((x > 0).float()[None], 2)
    folded, real = (counted(model, x, Settings(fold_pool=fold)) for fold in (True, False))
    assert folded["fc"].counts["ac"][0] == 3 * int(spikes.sum()) and folded.total("pool_adds")[0] == 0
    assert real["fc"].counts["mac"][0] == 3 * int((windows != 0).sum())
    assert real.total("pool_adds")[0] == 3 * 4 and real["fc"].classes[0] == REAL


def test_calls_of_a_layer_add_up_and_state_starts_again():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.v = nn.Linear(4, 4), None

        def forward(self, x):
            for x_t in x:
                self.v = self.fc(x_t) + (0 if self.v is None else 0.5 * self.v)
            return self.v

    model, x = Loop(), rnd(3, 4)
    first, second = (counted(model, x, time_major=True) for _ in range(2))
    assert first["fc"].counts["dense_mac"][0] == 3 * 16 and model.v is None
    assert [line.name for line in first.lines] == [line.name for line in second.lines]


def test_what_has_no_rule_is_listed_with_its_share():
    counts = counted(Fn(lambda m, x: torch.linalg.svdvals(m.fc(x))[:, :2], fc=nn.Linear(4, 4)), rnd(4, 4))
    assert counts.uncounted and {u.type for u in counts.uncounted} == {"_linalg_svd"}
    assert 0 < sum(u.share for u in counts.uncounted) < 1


@pytest.mark.parametrize(
    "way",
    [
        lambda y: torch.tensor(y.numpy()),
        lambda y: torch.from_numpy(y.numpy().copy()),
        lambda y: torch.tensor(y.tolist()),
    ],
)
def test_a_way_through_numpy_is_no_weight(way):
    """What lies behind it is counted, and the values that no operation gave are listed."""
    net = Fn(lambda m, x: m.b(way(m.a(x))), a=nn.Linear(8, 100), b=nn.Linear(100, 100))
    counts = counted(net, rnd(8))
    assert counts.total("mac")[0] == 8 * 100 + 100 * 100
    assert {u.type for u in counts.uncounted} == {"untracked tensor"}
    last = counted(Fn(lambda m, x: way(m.a(x)), a=nn.Linear(8, 100)), rnd(8))
    assert {u.type for u in last.uncounted} == {"untracked tensor"}


def test_an_operation_of_another_library_is_none_of_torchs():
    """Whatever its name: one called `add` may do anything."""
    library = torch.library.Library("basalt_test", "DEF")
    library.define("add(Tensor x, Tensor y) -> Tensor")
    library.impl("add", lambda x, y: x @ y.mT, "CPU")
    counts = counted(Fn(lambda m, x: torch.ops.basalt_test.add(x, x)), rnd(3, 4))
    assert [u.type for u in counts.uncounted] == ["basalt_test.add"] and not counts.total("residual_adds")[0]


def filled(make):
    """Values written by a kernel that dispatch does not see, into memory that it saw asked for."""

    def way(y):
        out = make(y)
        np.copyto(out.numpy(), y.numpy())
        return out

    return way


@pytest.mark.parametrize("make", [torch.empty_like, torch.zeros_like, lambda y: y.new_empty(2, *y.shape)[0]])
@pytest.mark.parametrize("then", [lambda y: y, lambda y: y.relu_(), lambda y: y.view(1, 4, 25).flatten(1)])
def test_what_a_kernel_filled_is_no_weight(make, then):
    """It has cost nothing that is known, and is listed; what lies behind it is counted."""
    way = filled(make)
    net = Fn(lambda m, x: m.b(then(way(m.a(x)))), a=nn.Linear(8, 100), b=nn.Linear(100, 100))
    counts = counted(net, rnd(8))
    assert counts["a"].counts["mac"][0] == 800 and counts["b"].counts["mac"][0] > 4000
    assert [u.type for u in counts.uncounted] == ["untracked tensor"]
    assert "compiled kernel" in counts.uncounted[0].remedy  # no rule would help


def test_memory_that_is_filled_in_sight_is_tracked():
    def forward(m, x):
        out, noise = torch.empty_like(x), torch.empty(4).uniform_()
        for i in range(len(x)):
            out[i] = x[i]
        state = torch.zeros_like(torch.empty_like(x))
        torch.add(out, 1.0, out=(total := torch.empty_like(x)))
        return m.fc(state * 0.5 + total) * noise

    counts = counted(Fn(forward, fc=nn.Linear(4, 4)), rnd(3, 4))
    assert not counts.uncounted and counts["fc"].counts["mac"][0] == 3 * 4 * 4


def test_layers_made_from_ours_are_counted_by_their_own_code():
    """One that replaces a method is not taken for its parent, nor is what it hides taken for nothing."""

    class Mine(LIF):
        def forward(self, a):
            return super().forward(a.abs())

    class Louder(LIF):
        def run(self, a, state=None):
            return super().run(3 * a, state)

    class Named(LIF):
        def extra_repr(self):
            return "named"

    def of(layer):
        return counted(Fn(lambda m, x: m.n(x), n=layer), rnd(4, 3), time_major=True)

    assert of(Named()).total("neuron_steps")[0] == 12 and not of(Named()).uncounted
    for layer, mac in ((Mine(), 0), (Louder(), 12)):
        counts = of(layer)
        assert {u.type for u in counts.uncounted} == {"untracked tensor"}
        assert counts.total("mac")[0] == mac and counts.total("neuron_steps")[0] == 0


def test_steps_of_a_time_major_model_add_up():
    counts = counted(lif_net(), rnd(4, 2, 8, 8), time_major=True)
    for line in counts.lines:
        if line.measures is not None:
            assert line.by_step is not None, line.name
            for field in ("nnz_in", "sop_exact"):
                assert line.by_step[field].shape == (1, 4)
                assert line.by_step[field].sum() == line.counts[field][0]
    assert counts["2"].by_step["spikes_out"].sum() == counts["2"].counts["spikes_out"][0] > 0


def test_a_transformer_encoder_is_counted_whole():
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    counts = counted(layer, rnd(8, 16))
    products = 8 * (4 * 16 * 16 + 2 * 16 * 32) + 2 * 8 * 8 * 16
    assert dense(counts) == products and not counts.uncounted
    assert torch.backends.mha.get_fastpath_enabled()  # as it was
    assert np.isfinite(counts.total("neuron_multiplies")[0])
