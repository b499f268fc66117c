"""Single operations of torch modules with costs worked out by hand; the rest is listed, never free."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from energy.operand import BINARY, INTEGER, REAL
from energy.torch_counts import counter
from energy.torch_counts.counter import ModelRaised, TorchCounter
from energy.torch_counts.elementwise import power_ops, sort_compares
from energy.torch_counts.rules import RuleFailed, Rules


class Fn(nn.Module):
    """A function of the input, with modules it may use."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function, self.places = function, torch.tensor([0, 2, 2])
        self.weights = nn.Parameter(torch.ones(3, 3))
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def counted(function, x, operand="real", **parts):
    return TorchCounter(Fn(function, **parts), operand=operand).count(x)[1]


def rnd(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


FIELDS = (
    "mac", "ac", "bias_adds", "residual_adds", "pool_adds", "neuron_multiplies", "neuron_adds",
    "neuron_compares",
)  # fmt: skip


def costs(function, x, operand="real", **parts):
    """What is not zero of all that arithmetic costs."""
    counts = counted(function, x, operand, **parts)
    assert not counts.uncounted
    return {f: int(n) for f in FIELDS if (n := counts.total(f)[0])}


@pytest.mark.parametrize(
    "function, want",
    [
        (lambda m, x: torch.zeros(1, 4, 5).index_add(1, m.places, x), {"residual_adds": 15}),
        (
            lambda m, x: torch.zeros(1, 4, 5).index_add(1, m.places, x, alpha=2),
            {"residual_adds": 15, "neuron_multiplies": 15},
        ),
        (
            lambda m, x: torch.zeros(1, 4, 5).scatter_add(1, m.places.view(1, 3, 1).expand(1, 3, 5), x),
            {"residual_adds": 15},
        ),
        (lambda m, x: torch.floor_divide(x, 3.0), {"neuron_multiplies": 15}),
        (lambda m, x: x // 3, {"neuron_multiplies": 15}),
        (lambda m, x: x.floor(), {}),
        (lambda m, x: x**2, {"neuron_multiplies": 15}),
        (lambda m, x: x**7, {"neuron_multiplies": 4 * 15}),
        (lambda m, x: x.abs() ** -0.5, {"neuron_multiplies": 2 * 15}),
        (lambda m, x: 2.0**x, {"neuron_multiplies": 2 * 15}),
        (lambda m, x: x.abs() ** x, {"neuron_multiplies": 3 * 15}),
        (lambda m, x: x.sort(-1)[0], {"neuron_compares": 3 * 7}),  # log2(120) = 6.9
        (lambda m, x: x.topk(1, -1)[0], {"neuron_compares": 3 * 4}),
        (lambda m, x: x.topk(2, -1)[0], {"neuron_compares": 3 * (4 + 3)}),
        (lambda m, x: x.argmax(), {"neuron_compares": 14}),
        (lambda m, x: x.argmax(-1), {"neuron_compares": 3 * 4}),
        (lambda m, x: torch.bucketize(x, torch.linspace(-1, 1, 7)), {"neuron_compares": 15 * 3}),
        (lambda m, x: x.cumsum(-1), {"pool_adds": 3 * 4}),
        (lambda m, x: x.cumprod(-2), {"neuron_multiplies": 2 * 5}),
        (lambda m, x: F.logsigmoid(x), {"neuron_multiplies": 2 * 15, "neuron_adds": 15}),
        (lambda m, x: F.glu(x[..., :4], -1), {"neuron_multiplies": 3 * 6, "neuron_adds": 6}),
        (lambda m, x: F.softshrink(x), {"neuron_adds": 15, "neuron_compares": 15}),
        (lambda m, x: x.rot90(1, (1, 2)), {}),
        # what is added to products is not free, be it weights or the sample's
        (lambda m, x: torch.baddbmm(x[:, :, :3], x, x.mT), {"mac": 45, "residual_adds": 9}),
        (
            lambda m, x: torch.baddbmm(m.weights, x, x.mT, beta=0.5, alpha=2),
            {"mac": 45, "bias_adds": 9, "neuron_multiplies": 9},  # half the weights is a weight
        ),
        (
            lambda m, x: torch.addmm(x[0, :, :3], x[0], x[0, :, :3].new_ones(5, 3), alpha=2),
            {"mac": 45, "residual_adds": 9, "neuron_multiplies": 9},
        ),
        (lambda m, x: torch.addmm(x[0, :, :3], m.weights, m.weights), {"bias_adds": 9}),
        (lambda m, x: F.linear(x[..., :3], m.weights, x[0, 0, :3]), {"mac": 27, "residual_adds": 9}),
        (lambda m, x: F.conv1d(x, x[:, :, :2], m.weights[0, :1]), {"mac": 3 * 2 * 4, "bias_adds": 4}),
        (lambda m, x: F.conv1d(x, m.weights[..., None], x[0, :, 0]), {"mac": 45, "residual_adds": 15}),
    ],
)
def test_costs_by_hand(function, want):
    assert costs(function, rnd(3, 5)) == want


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize(
    "mode, shape, to",
    [
        ("linear", (2, 5), 8),
        ("linear", (2, 5), 3),
        ("bilinear", (2, 3, 4), (6, 5)),
        ("trilinear", (1, 2, 3, 2), (4, 3, 5)),
        ("bicubic", (1, 4, 3), (7, 6)),
    ],
)
def test_interpolation_is_a_fixed_map(mode, shape, to, corners):
    """Its matrix by brute force: every value of the grid alone, resampled."""
    places = math.prod(shape[1:])
    x = (rnd(*shape) > 0).float()

    def resized(values):
        return F.interpolate(values, size=to, mode=mode, align_corners=corners)

    alone = torch.eye(places, dtype=torch.float64).reshape(places, 1, *shape[1:])
    reached = torch.count_nonzero(resized(alone).reshape(places, -1), dim=1)
    line = counted(lambda m, x: resized(x), x, "binary").lines[0]
    assert line.counts["sop_exact"][0] == (x.reshape(-1, places) @ reached.float()).sum() > 0
    assert line.counts["ac"][0] == line.counts["sop_exact"][0] and line.counts["mac"][0] == 0
    assert line.counts["dense_mac_inbounds"][0] == shape[0] * reached.sum()
    taps = (4 if mode == "bicubic" else 2) ** (len(shape) - 1)
    assert line.counts["dense_mac"][0] == taps * resized(x[None]).numel()


def test_interpolation_by_a_factor_reads_other_neighbours():
    x = torch.ones(1, 5)
    line = counted(
        lambda m, x: F.interpolate(
            x, scale_factor=1.7, mode="linear", align_corners=False, recompute_scale_factor=False
        ),
        x,
    ).lines[0]
    alone = F.interpolate(torch.eye(5)[:, None], scale_factor=1.7, mode="linear", align_corners=False)
    assert line.counts["sop_exact"][0] == torch.count_nonzero(alone)


def test_a_norm_behind_an_addend_of_the_sample_is_not_folded():
    """It would have to scale what is added too; behind a bias of weights it is."""
    parts = {"fc": nn.Linear(3, 3), "bn": nn.BatchNorm1d(3)}
    plain = counted(lambda m, x: m.bn(m.fc(x[0])), rnd(3, 3), **parts)
    mixed = counted(lambda m, x: m.bn(torch.addmm(x[0], x[0], m.fc.weight)), rnd(3, 3), **parts)
    assert plain.total("scale_macs")[0] == 0 and mixed.total("scale_macs")[0] == 9


def test_powers_and_sorts_of_any_size():
    x = 1.7
    for k in range(1, 40):  # square and multiply: what a computer does for a whole power
        power, multiplies = x, 0
        for bit in bin(k)[3:]:
            power, multiplies = power * power, multiplies + 1
            if bit == "1":
                power, multiplies = power * x, multiplies + 1
        assert power == pytest.approx(x**k, rel=1e-12)  # rounding of at most ten products
        assert power_ops(k) == multiplies and power_ops(-k) == multiplies + 1
    assert (power_ops(0), power_ops(0.5), power_ops(1.5), power_ops(0.3)) == (0, 1, 3, 3)
    for n in range(1, 12):
        assert 2 ** sort_compares(n) >= math.factorial(n) > 2 ** (sort_compares(n) - 1) or n == 1
    assert sort_compares(1) == 0


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: torch.zeros(1, 4, 5).index_put((torch.tensor([0]), m.places), x[0], accumulate=True),
        lambda m, x: torch.ones(1, 4, 5).scatter(1, m.places.view(1, 3, 1).expand(1, 3, 5), x, reduce="add"),
        lambda m, x: torch.zeros(1, 4, 5).scatter_reduce(
            1, m.places.view(1, 3, 1).expand(1, 3, 5), x, reduce="sum"
        ),
        lambda m, x: x.median(-1)[0],
        lambda m, x: x.aminmax(dim=-1)[1],
        lambda m, x: x.to(torch.complex64) / torch.complex(x, x),
        lambda m, x: torch.complex(x, x).tanh(),
    ],
)
def test_what_is_added_up_or_chosen_in_a_way_no_rule_knows_is_listed(function):
    assert len(counted(function, rnd(3, 5)).uncounted) == 1


def test_values_written_at_places_are_moves():
    """Without adding up, and whatever is written there: the class is the widest of both."""

    def put(values):
        return lambda m, x: m.head(
            torch.zeros(1, 6).index_put((torch.tensor([0]), torch.tensor([1, 4])), values(x))
        )

    head, spikes = nn.Linear(6, 2), (rnd(6) > 0).float()
    for values, cls in ((lambda x: x[0, :2], BINARY), (lambda x: x[0, :2].sin(), REAL)):
        counts = counted(put(values), spikes, "binary", head=head)
        assert counts["head"].classes[0] == cls and counts.total("residual_adds")[0] == 0


def test_sums_at_places_are_whole_numbers_of_spikes():
    spikes = (rnd(3, 4) > 0).float()

    def gathered(m, x):
        return m.head(torch.zeros(1, 2, 4).index_add(1, torch.tensor([0, 1, 1]), x))

    counts = counted(gathered, spikes, "binary", head=nn.Linear(4, 2))
    assert counts["head"].classes[0] == INTEGER and counts["head"].spike_input


def test_complex_products_are_four_real_ones():
    w = nn.Parameter(torch.complex(rnd(4, 4), rnd(4, 4)))
    x = rnd(3, 4)
    both = counted(lambda m, x: torch.complex(x, x) * torch.complex(x, x), x)
    assert both.total("mac")[0] == 4 * 12
    assert counted(lambda m, x: torch.complex(x, x) * 2.0, x).total("mac")[0] == 2 * 12
    assert counted(lambda m, x: torch.complex(x, x) @ m.w, x, w=w).total("mac")[0] == 4 * 3 * 4 * 4
    assert counted(lambda m, x: x @ m.w.real, x, w=w).total("mac")[0] == 3 * 4 * 4
    assert counted(lambda m, x: torch.complex(x, x) + torch.complex(x, x), x).total("residual_adds")[0] == 24
    # sqrt(x x + y y): 3 multiplies with the root, 1 add a value
    assert costs(lambda m, x: torch.complex(x, x).abs(), x) == {"neuron_multiplies": 36, "neuron_adds": 12}
    assert costs(lambda m, x: x.abs(), x) == {}


@pytest.mark.parametrize("way", [lambda a, b: (a & b).float(), lambda a, b: a.float() * b.float()])
def test_and_of_spikes_is_their_product(way):
    x = rnd(40)
    counts = counted(lambda m, x: m.head(way(x > 0, x < 0.8)), x, head=nn.Linear(40, 2))
    met = int(((x > 0) & (x < 0.8)).sum())
    assert 0 < met < 40 and counts.total("ac")[0] == met + 2 * met and counts.total("mac")[0] == 0
    assert counts["head"].classes[0] == BINARY


def test_a_bit_masked_by_a_weight_stays_a_bit():
    keep, x = nn.Parameter(torch.arange(40) % 2 == 0, requires_grad=False), rnd(40)
    counts = counted(lambda m, x: m.head(((x > 0) & m.keep).float()), x, head=nn.Linear(40, 2), keep=keep)
    assert counts["head"].classes[0] == BINARY and counts["head"].counts["ac"][0] > 0


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("k, stride, padding", [(3, 1, 1), (3, 2, 1), (2, 2, 0), (5, 3, 2)])
def test_a_border_of_padding_holds_no_values_to_pool(k, stride, padding, ceil_mode):
    x = rnd(2, 7, 6)
    ones = F.pad(torch.ones(1, 7, 6), (padding,) * 4)
    ends = (k - 1,) * 4 if ceil_mode else (0,) * 4  # windows that reach over the end
    under = F.unfold(F.pad(ones, (0, ends[0], 0, ends[1]))[None], k, stride=stride).sum(1)
    rows, columns = F.max_pool2d(x, k, stride, padding, ceil_mode=ceil_mode).shape[-2:]
    wide = (ones.shape[-1] + ends[0] - k) // stride + 1
    joined = 2 * int((under.view(-1, wide)[:rows, :columns] - 1).sum())
    largest = costs(lambda m, x: F.max_pool2d(x, k, stride, padding, ceil_mode=ceil_mode), x)
    assert largest == {"neuron_compares": joined}
    mean = costs(lambda m, x: F.avg_pool2d(x, k, stride, padding, ceil_mode), x)
    assert mean == {"pool_adds": joined}


def test_rows_of_a_table_are_real_values_of_the_sample_and_cost_nothing():
    table = nn.Embedding(8, 4)
    counts = counted(
        lambda m, x: m.head(m.table(x)), torch.tensor([1, 5, 5]), table=table, head=nn.Linear(4, 2)
    )
    assert counts["head"].classes[0] == REAL and counts.total("mac")[0] == 3 * 4 * 2


def test_a_weight_beside_spikes_widens_them():
    extra = nn.Parameter(torch.tensor([[0.5, 0.25]]))
    spikes = torch.tensor([1.0, 0, 1, 0])
    head = nn.Linear(6, 2)
    counts = counted(
        lambda m, x: m.head(torch.cat([x, m.extra], 1)), spikes, "binary", extra=extra, head=head
    )
    assert counts["head"].classes[0] == REAL


def test_chance_is_a_comparison_with_the_rate():
    counts = counted(lambda m, x: m.head(torch.bernoulli(x.sigmoid())), rnd(40), head=nn.Linear(40, 2))
    assert counts["head"].classes[0] == BINARY
    assert counts["head"].counts["ac"][0] == 2 * counts.total("spikes_out")[0] > 0


def neuron(forward, name="LIFNode", base=nn.Module):
    """A class that passes for SpikingJelly's."""
    forward.__module__ = "spikingjelly.activation_based.neuron"
    return type(name, (base,), {"__module__": "spikingjelly.activation_based.neuron", "forward": forward})


def test_neurons_made_from_known_ones_are_counted_by_their_own_code():
    known = neuron(lambda self, x: (x > 0).float())
    mine = type(
        "Mine", (known,), {"__module__": "elsewhere", "forward": lambda self, x: (x * x > 0.1).float()}
    )
    plain, other = (counted(lambda m, x: m.n(x), rnd(6), n=kind()) for kind in (known, mine))
    assert plain.total("neuron_adds")[0] == 12 and plain.total("neuron_compares")[0] == 6
    assert other.total("neuron_adds")[0] == 0 and other.total("mac")[0] == 6
    assert other.total("neuron_compares")[0] == 6 and not other.uncounted


def test_graded_neurons_give_real_values():
    graded = neuron(lambda self, x: 0.5 * (x > 0).float())
    counts = counted(lambda m, x: m.head(m.n(x)), rnd(6), n=graded(), head=nn.Linear(6, 2))
    assert counts["head"].classes[0] == REAL


def attention(between=lambda y: y, behind=lambda y, scores: y):
    """Spikes q, k, v [2, 7, 5] of one input; `between` the two products, `behind` both."""

    def forward(m, x):
        q, k, v = (x > 0.2).float(), (x < 0).float(), (x > 0.9).float()
        scores = q @ k.transpose(-1, -2)
        return behind(between(scores) @ v, scores)

    return forward


def test_two_products_with_moves_alone_between_are_one_attention():
    """K^T V first: nnz_Q d + min(nnz_K, nnz_V) d, here all at the second product."""
    x = rnd(2, 7, 5)
    q, k, v = (int(n.sum()) for n in (x > 0.2, x < 0, x > 0.9))
    want = [0, 5 * q + 5 * min(k, v)]
    for between in (lambda y: y, lambda y: y.transpose(-1, -2).contiguous().transpose(-1, -2)):
        counts = counted(attention(between), x)
        products = [line for line in counts.lines if line.type == "MatMul"]
        assert [line.recounts["pairs_kv"][0] for line in products] == want
    for apart in (
        attention(lambda y: (y > 1).float()),
        attention(lambda y: y * 0.5),
        attention(behind=lambda y, scores: y.sum() + scores.sum()),
    ):
        assert not any("pairs_kv" in (line.recounts or {}) for line in counted(apart, x).lines)
    left = counted(lambda m, x: (x > 0.9).float().mT @ ((x > 0.2).float() @ (x < 0).float().mT), x)
    assert [line.recounts["pairs_kv"][0] for line in left.lines if line.type == "MatMul"] == want


def test_who_is_to_blame_for_an_error(monkeypatch):
    with pytest.raises(ModelRaised) as raised:
        counted(lambda m, x: x @ x, rnd(3, 5))
    assert isinstance(raised.value.__cause__, RuntimeError)
    sick = Rules()
    sick.operation("sin")(lambda call: 1 / 0)
    monkeypatch.setattr(counter, "RULES", sick)
    with pytest.raises(RuleFailed, match="sin of model"):
        counted(lambda m, x: x.sin(), rnd(3, 5))
