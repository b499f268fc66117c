"""The tiny LIF conv net whose operations were counted by hand and by a dozen tools.

conv(2->4, k3, p1) BN LIF conv(4->8, k3, p1, s2, bias) BN LIF avgpool2 fc(32->5); 8x8 input, T 4, N 2. Batch
norms are folded. The original spikes are not known; these reproduce every sum of them:

    conv2 sends a spike to 8 x (1, 2 or 4) synapses, by its position. 432 spikes of sample 0 pass
    8 (210 + 2 150 + 4 72) = 6384, 483 of sample 1 pass 8 (233 + 2 170 + 4 80) = 7144; mean 6764.
    432 + 483 = 915 of 2048: rate 0.44678. lif2: 276 spikes in 89 of 128 windows of 2x2, in each sample:
    89 x 5 = 445 real MACs, or 276 x 5 = 1380 ACs with the pool folded.
"""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from convert.ir import (
    LIF,
    Affine,
    AvgPool2d,
    Conv2d,
    Graph,
    Input,
    LoihiIntegrator,
    LoihiLIF,
    Reshape,
)
from convert.passes.lower import lower
from energy.conventions import NAMED
from energy.costs import cost_table
from energy.counts import count, count_program
from energy.energy import price, spread
from energy.line import Options, joined
from energy.report import Report
from energy.torch_counts.counter import TorchCounter
from energy.torch_counts.settings import Settings
from train import neurons
from train.stepwise import Stepwise

T, N = 4, 2


def tiny():
    rng = np.random.default_rng(0)
    nodes = {
        "x": Input((2, 8, 8)),
        "conv1": Conv2d(rng.normal(size=(4, 2, 3, 3)), rng.normal(size=4), padding=(1, 1)),
        "lif1": LIF(0.5),
        "conv2": Conv2d(rng.normal(size=(8, 4, 3, 3)), rng.normal(size=8), stride=(2, 2), padding=(1, 1)),
        "lif2": LIF(0.5),
        "pool": AvgPool2d((2, 2), (2, 2)),
        "flat": Reshape((32,)),
        "fc": Affine(rng.normal(size=(5, 32)), rng.normal(size=5)),
    }
    names = list(nodes)
    return Graph(nodes, tuple(pairwise(names)), ("fc",), "folded")


def rasters():
    side = np.array([1, 2, 1, 2, 1, 2, 1, 1])  # output rows that read input row y: k3 s2 p1 on 8
    synapses = np.broadcast_to(np.outer(side, side), (T, 4, 8, 8)).reshape(-1)
    lif1 = np.zeros((T, N, 4, 8, 8), np.uint8)
    for n, wanted in enumerate(({1: 210, 2: 150, 4: 72}, {1: 233, 2: 170, 4: 80})):
        flat = np.zeros(synapses.size, np.uint8)
        for fan, spikes in wanted.items():
            flat[np.flatnonzero(synapses == fan)[:spikes]] = 1
        lif1[:, n] = flat.reshape(T, 4, 8, 8)
    windows = np.zeros((T * 8 * 4, 4), np.uint8)  # 128 windows of 4: 62 x 4, 1 x 2, 26 x 1 = 276 in 89
    windows[:62], windows[62, :2], windows[63:89, 0] = 1, 1, 1
    one = windows.reshape(T, 8, 2, 2, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(T, 8, 4, 4)
    x = np.random.default_rng(1).uniform(0.1, 1.0, (T, N, 2, 8, 8))
    return {"x": x, "lif1": lif1, "lif2": np.stack([one, one], axis=1)}


@pytest.fixture
def folded():
    return count(tiny(), rasters())


@pytest.fixture
def real():
    return count(tiny(), rasters(), Options(fold_pool=False))


def test_numbers_of_the_architecture(folded):
    dense = {n: folded.of(folded[n], "dense_mac").tolist() for n in ("conv1", "conv2", "fc")}
    assert dense == {"conv1": [18432] * N, "conv2": [18432] * N, "fc": [640] * N}
    assert folded.of(folded["conv1"], "dense_mac_inbounds").tolist() == [15488] * N
    assert folded.of(folded["conv2"], "dense_mac_inbounds").tolist() == [15488] * N
    assert folded.total("dense_mac").tolist() == [37504] * N
    assert folded.total("neuron_steps").tolist() == [1536] * N


def test_numbers_of_the_spikes(folded, real):
    conv2, fc = folded["conv2"], folded["fc"]
    assert folded.of(folded["lif1"], "spikes_out").tolist() == [432, 483]
    assert conv2.measures["firing_rate"].mean() == 915 / 2048
    assert folded.of(conv2, "sop_exact").tolist() == [6384, 7144]
    assert conv2.measures["sop_paper"].mean() == pytest.approx(8235, rel=1e-12)  # fr T dense
    inbounds = conv2.measures["firing_rate"] * folded.of(conv2, "dense_mac_inbounds")
    assert inbounds.mean() == pytest.approx(6920, abs=0.5)  # fr T in-bounds, printed without digits
    assert folded.of(fc, "ac").tolist() == [1380] * N and folded.of(fc, "mac").tolist() == [0] * N
    assert real.of(real["fc"], "mac").tolist() == [445] * N and real.of(real["fc"], "ac").tolist() == [0] * N


def test_hand_truth_table(folded, real):
    table = cost_table("horowitz45-fp32")
    assert (folded.total("mac").mean(), folded.total("ac").mean()) == (15488, 8144)
    assert (real.total("mac").mean(), real.total("ac").mean()) == (15933, 6764)
    for counts in (folded, real):  # the papers' convention does not see the folding
        assert counts.of(counts["conv1"], "dense_mac").mean() == 18432 and not counts["conv1"].spike_input
        assert counts.paper().mean() == pytest.approx(8580, rel=1e-12)
    bills = {"folded": price(folded, table), "real": price(real, table)}
    nj = {k: {c: b.component("compute").mean() / 1e3 for c, b in v.items()} for k, v in bills.items()}
    # exact products of the table above; the reference prints one digit: 92.5, 78.6, 79.4
    assert nj["folded"] == pytest.approx({"exact": 78.5744, "paper-spikformer": 92.5092}, rel=1e-12)
    assert nj["real"] == pytest.approx({"exact": 79.3794, "paper-spikformer": 92.5092}, rel=1e-12)
    printed = [
        f"{v:.1f}" for v in (nj["folded"]["paper-spikformer"], nj["folded"]["exact"], nj["real"]["exact"])
    ]
    assert printed == ["92.5", "78.6", "79.4"]
    assert (
        bills["folded"]["paper-spikformer"].total().mean()
        == bills["folded"]["paper-spikformer"].component("compute").mean()
    )


def test_the_report_prints_them(tmp_path, folded):
    with Report(tmp_path, cost_table("horowitz45-fp32")) as report:
        report.add(folded, ["a", "b"])
    total = next(line for line in report.table().splitlines() if line.startswith("total")).split()
    assert "15,488" in total and "8,144" in total and "37,504" in total and "27,012" in total  # 18432 + 8580
    assert "compute 78.57 nJ" in report.table() and "paper-spikformer: 92.51 nJ" in report.table()


def test_the_switches_give_the_rows_between(folded):
    """fr T dense 8235, fr T in-bounds 6920, exact 6764 of conv2; the real layer with borders, or without."""
    table, exact = cost_table("horowitz45-fp32"), NAMED["exact"]
    chosen = [exact, *(exact.switched("padding", "dense").switched("rate", r) for r in ("events", "mean"))]
    chosen += [exact.switched("rate", "mean"), exact.switched("integers", "bit-serial")]
    at = [line.name for line in folded.lines].index
    bills = price(folded, table, chosen)
    conv2 = [bill.pj["compute"][at("conv2")].mean() / 0.9 for bill in bills.values()]
    assert conv2 == pytest.approx([6764, 8235, 8235, 8235 * 15488 / 18432, 6764], rel=1e-12)
    conv1 = [bill.pj["compute"][at("conv1")].mean() / 4.6 for bill in bills.values()]
    assert conv1 == pytest.approx([15488, 18432, 18432, 15488, 15488], rel=1e-12)
    variants = [v.pj.mean() for v in spread(folded, table, NAMED["paper-spikformer"])]
    # one layer once a run alone: 4.6 x 18432 / 4 + 0.9 x 8580; the most: neurons counted
    assert min(variants) / 1e3 == pytest.approx((4.6 * 18432 / 4 + 0.9 * 8580) / 1e3, rel=1e-12)
    assert max(variants) / 1e3 == pytest.approx(92.5092 + 1536 * (3.7 + 0.9 + 0.9) / 1e3, rel=1e-12)


def test_each_step_adds_up_to_the_table(folded):
    conv2, fc = (folded[n].by_step["sop_exact"] for n in ("conv2", "fc"))
    assert conv2.shape == (N, T) and conv2.sum(axis=1).tolist() == [6384, 7144]
    assert fc.sum(axis=1).tolist() == [1380] * N


def chip():
    """The same net in integers: 8-bit input, and the pool in the weights behind it."""
    rng = np.random.default_rng(0)
    nodes = {
        "x": Input((2, 8, 8), "graded", 0.01),
        "conv1": Conv2d(rng.integers(1, 9, (4, 2, 3, 3)), padding=(1, 1)),
        "lif1": LoihiLIF(2048, 50, bias_mant=np.ones((4, 8, 8), int)),
        "conv2": Conv2d(rng.integers(1, 9, (8, 4, 3, 3)), stride=(2, 2), padding=(1, 1)),
        "lif2": LoihiLIF(2048, 50, bias_mant=np.ones((8, 4, 4), int)),
        "fc": Affine(rng.integers(1, 9, (5, 128))),
        "out": LoihiIntegrator(),
    }
    return lower(Graph(nodes, tuple(pairwise(nodes)), ("out",), "integer"))


def test_the_program_counts_the_same():
    seen = rasters()
    counts = count_program(chip(), {**seen, "x": np.rint(seen["x"] * 100).astype(int)})
    first, second, last = (line for line in counts.lines if line.classes is not None)
    assert [line.type for line in (first, second)] == ["Projection[ConvWeights]"] * 2
    found = [counts.of(line, "sop_exact").tolist() for line in (first, second, last)]
    assert found == [[15488] * N, [6384, 7144], [1380] * N]
    assert [counts.of(line, "dense_mac")[0] for line in (first, second, last)] == [18432, 18432, 4 * 640]
    assert (counts.total("mac").mean(), counts.total("ac").mean()) == (15488, 8144)
    assert sum(counts.of(counts[n], "neuron_steps")[0] for n in ("lif1", "lif2")) == 1536
    for line in (first, second, last):
        assert line.by_step["sop_exact"].sum(axis=1).tolist() == counts.of(line, "sop_exact").tolist()
    bills = price(counts, cost_table("horowitz45-fp32"))
    assert bills["exact"].component("compute").mean() / 1e3 == pytest.approx(78.5744, rel=1e-12)
    # 92.5 with the head as the chip holds it: its pool is in the weights, four times the synapses
    want = 4.6 * 18432 + 0.9 * (8235 + 1380)
    assert bills["paper-spikformer"].total().mean() == pytest.approx(want, rel=1e-12)


@pytest.fixture
def told(monkeypatch):
    """Neurons give the spikes they were told to."""
    monkeypatch.setattr(neurons.LIF, "run", lambda self, a, state=None: (self.told, state), raising=False)


def by_torch(options):
    """Counts of the same net as a torch module, sample by sample; neurons are `told`."""
    given, parts = rasters(), []
    layers = [
        Stepwise(nn.Conv2d(2, 4, 3, padding=1, bias=False)), Stepwise(nn.BatchNorm2d(4)), neurons.LIF(),
        Stepwise(nn.Conv2d(4, 8, 3, 2, 1)), Stepwise(nn.BatchNorm2d(8)), neurons.LIF(),
        Stepwise(nn.AvgPool2d(2)), Stepwise(nn.Flatten()), Stepwise(nn.Linear(32, 5)),
    ]  # fmt: skip
    model = nn.Sequential(*layers)
    for n in range(N):
        layers[2].told, layers[5].told = (
            torch.tensor(given[k][:, n : n + 1]).float() for k in ("lif1", "lif2")
        )
        x = torch.tensor(given["x"][:, n]).float()
        parts.append(TorchCounter(model, options, time_major=True).count(x)[1])
    return joined(parts)


def test_by_the_torch_path(told):
    """The hand truth once more: batch norms folded, not counted; pool folded and not."""
    folded, real = by_torch(Settings()), by_torch(Settings(fold_pool=False))
    assert (folded.total("mac").mean(), folded.total("ac").mean()) == (15488, 8144)
    assert (real.total("mac").mean(), real.total("ac").mean()) == (15933, 6764)
    for counts in (folded, real):
        assert counts.total("dense_mac").tolist() == [37504] * N and counts.total("scale_macs").sum() == 0
        assert counts.of(counts["3.module"], "sop_exact").tolist() == [6384, 7144]
        assert counts.total("neuron_steps").tolist() == [1536] * N
        assert counts.paper().mean() == pytest.approx(8580, rel=1e-12)
