"""The torch path and the graph path count the same: every number, every sample, equal; in every
convention."""

import numpy as np
import pytest
import torch

from convert.from_torch import from_torch
from convert.passes.fold_batchnorm import FOLD_BATCHNORM
from energy.conventions import NAMED
from energy.costs import open_cost_table
from energy.counts import counter
from energy.energy import price
from energy.line import COUNTS
from energy.torch_counts.counter import TorchCounter
from train.models import registry

SETTINGS = {
    "base-sgn": ({"in_channels": 6, "classes": 4, "channels": (8, 16)}, (6, 20), 5),
    "base-sgn-attention": ({"in_channels": 6, "classes": 4, "channels": (8, 16)}, (6, 20), 5),
    "mk-sgn": ({"in_channels": 12, "classes": 4, "channels": (8, 16), "threshold": 0.4}, (12, 9, 20), 4),
}
SAMPLES = 2


@pytest.fixture(scope="module", params=SETTINGS)
def both(request):
    """(graph, its counts of all samples, torch counts of each)."""
    settings, shape, steps = SETTINGS[request.param]
    torch.manual_seed(0)
    model = registry.build(request.param, {**settings, "layout": "kinect20"})
    x = 2 * torch.randn(steps, SAMPLES, *shape)
    for _ in range(3):
        model(x)  # running statistics
    graph = FOLD_BATCHNORM(from_torch(model.eval(), shape))
    counting = counter(graph)
    with torch.no_grad():
        rasters = hooked(model, x, counting.rasters)
    each = [TorchCounter(model, time_major=True).count(x[:, n])[1] for n in range(SAMPLES)]
    return counting.count(rasters), each


def hooked(model, x, names):
    """Rasters of the torch model itself: the same spikes on both sides, whatever rounding does elsewhere."""
    found = {"input": x.numpy()}

    def keep(name):
        def hook(module, args, out):
            found[name] = out.numpy().astype(np.uint8)

        return hook

    hooks = [m.register_forward_hook(keep(n)) for n, m in model.named_modules() if n in names]
    model(x)
    for hook in hooks:
        hook.remove()
    return {name: found[name] for name in names}


def test_all_totals_are_equal(both):
    graph, each = both
    assert graph.total("spikes_out").all() and graph.total("ac").all()
    for n, found in enumerate(each):
        assert not found.uncounted
        for field in COUNTS:
            assert found.total(field).tolist() == [graph.total(field)[n]], field
        assert found.paper()[0] == pytest.approx(graph.paper()[n], rel=1e-12)  # floats added in another order


def test_lines_of_modules_are_equal(both):
    graph, each = both
    lines = {line.name: line for line in graph.lines}
    shared = [line for line in each[0].lines if line.name in lines]
    assert len(shared) > 10
    for n, found in enumerate(each):
        for line in found.lines:
            if line.name not in lines:
                continue  # sums and products are named after the module they stand in
            want = lines[line.name]
            for field in set(want.counts) | set(line.counts):
                assert found.of(line, field)[0] == graph.of(want, field)[n], (line.name, field)
            if want.measures is None:
                continue
            assert (
                line.classes[0] == want.classes[n]
                and line.measures["sop_paper"][0] == want.measures["sop_paper"][n]
            )
            assert (line.spike_input, line.sums, line.first, line.head) == (
                want.spike_input, want.sums, want.first, want.head
            )  # fmt: skip
            for kind in ("by_step", "recounts"):
                for field, values in getattr(want, kind).items():
                    assert np.array_equal(values[n], getattr(line, kind)[field][0]), (line.name, field)


@pytest.mark.parametrize("name", NAMED)
def test_every_convention_prices_them_alike(both, name):
    graph, each = both
    table, asked = open_cost_table("horowitz45-fp32"), (NAMED[name],)
    want = price(graph, table, asked)[name].total()
    for n, found in enumerate(each):  # the same numbers, added in another order
        assert price(found, table, asked)[name].total()[0] == pytest.approx(want[n], rel=1e-12)
