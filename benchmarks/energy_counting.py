"""Counting synaptic operations: ours beside NeuroBench's and SpikingJelly's counters, one network, one run.

    python -m benchmarks.energy_counting [--run RUN] [--artifact DIR ...] [--data DIR] [--samples N]

RUN is a trained Base-SGN; without it the peers stay away, and need not be installed. Ours counts its graph on
ONNX Runtime; the peers count the same network of SpikingJelly's modules (benchmarks/spikingjelly_sgn.py) with
the same weights. One thread each. Seconds are those of the processor; the best round of each counts, rounds
take turns, and what counting adds is what a run with counters takes above the same run without. N is a batch,
by default 64, that of a report. Each --artifact is another row of ours. Plain inference gives the outputs
alone; the model as `convert` writes it also gives each neuron's spikes, and stands beside.

Before that, in float64, where no spike sits within rounding of its threshold: the operations of every layer
that spikes drive must be the same three integers over all the samples, where the definitions are. The runs
that are timed count in float32, each with its own rounding: the last of each must agree within FLOAT32.

    ours          sop_exact and sop_nonzero of the lines of spikes, of every sample, step and layer
    SpikingJelly  SynOpCounter: sums of a batch over layers of spikes; borders out, weights of zero in
    NeuroBench    Effective_ACs: mean of a sample; borders out, weights of zero out

Left out of the comparison: the adjacency product (real operand: SpikingJelly counts no synaptic operation,
NeuroBench does not see it) and the head behind the mean over joints (real for the peers, folded into
synapses by us). See requirements-bench.txt for the environment.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.machine import describe, machine
from convert.artifact import open_artifact
from convert.from_torch import from_torch
from convert.ir import Graph
from convert.passes.fold_batchnorm import fold
from convert.to_onnx import scan_model
from deploy.cpu_onnx import OnnxCpu, ScanRunner
from deploy.onnx_session import Session
from deploy.reference import Reference
from energy.counts import counter
from energy.line import Counts
from train.checkpoint import float_model, load
from train.data.recipe import Recipe
from train.skeletons import layout
from verbs.feed import load_feed

FLOAT32 = 1e-3
"""Share of the operations in which timed runs may differ: a potential that lies within rounding of its
threshold fires in one float32 runtime and not in another, and what it drives goes with it."""
PEERS = ("neurobench", "snntorch", "spikingjelly")


def network(run: Path) -> tuple[nn.Module, Graph, dict[str, Any]]:
    """The trained module, its folded graph, its description."""
    checkpoint = load(run)
    model, about = float_model(checkpoint).eval(), checkpoint.about
    if about["model"] != "base-sgn":
        raise SystemExit(f"{run}: a {about['model']}; the peers are written for base-sgn")
    shape = Recipe.from_dict(about["recipe"]).shape(layout(about["dataset"]["layout"]).size)
    return model, fold(from_torch(model, shape)), about


def spike_driven(counts: Counts, field: str) -> int:
    """Operations of the lines that all three see as layers of spikes, over all samples."""
    seen = [
        line
        for line in counts.lines
        if line.item != "adjacency" and line.type in ("GraphConv", "StepConv", "ChannelMix")
        and line.classes is not None and not line.classes.any()
    ]  # fmt: skip
    assert seen, "no layer of spikes"
    return sum(int(counts.of(line, field).sum()) for line in seen)


class Batches(torch.utils.data.Dataset):
    """What NeuroBench's loader gives: x of one sample [T, C, V], a label nobody reads."""

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __len__(self) -> int:
        return self.x.shape[1]

    def __getitem__(self, n: int) -> tuple[Tensor, int]:
        return self.x[:, n], 0


class TimeFirst(nn.Module):
    """The peer, for loaders that put samples first: x [N, T, C, V]."""

    def __init__(self, peer: nn.Module) -> None:
        super().__init__()
        self.peer = peer

    def forward(self, x: Tensor) -> Tensor:
        """Scores [N, K]."""
        return self.peer(x.transpose(0, 1).contiguous())


def neurobench(peer: nn.Module, x: Tensor) -> Callable[[], float]:
    """A run of NeuroBench that gives Effective_ACs, operations a sample."""
    from neurobench.benchmarks import Benchmark
    from neurobench.metrics.workload import SynapticOperations
    from neurobench.models import TorchModel

    loader = torch.utils.data.DataLoader(Batches(x), batch_size=x.shape[1])
    benchmark = Benchmark(TorchModel(TimeFirst(peer)), loader, [], [], [[], [SynapticOperations]])

    def run() -> float:
        with torch.no_grad():
            found = benchmark.run(quiet=True)
        return float(found["SynapticOperations"]["Effective_ACs"])

    return run


def spikingjelly(peer: nn.Module, x: Tensor) -> Callable[[], int]:
    """A run under SpikingJelly's SynOpCounter that gives its total."""
    from spikingjelly.activation_based.op_counter import DispatchCounterMode, SynOpCounter

    def run() -> int:
        count = SynOpCounter()
        with torch.no_grad(), DispatchCounterMode([count]):
            peer(x)
        return int(count.get_total())

    return run


def same_operations(model: nn.Module, graph: Graph, x: np.ndarray, at_once: int = 4) -> int:
    """In float64, `at_once` samples at a time: the three counts agree, or it ends here; the operations."""
    return sum(
        _same_operations(model, graph, x[:, start : start + at_once])
        for start in range(0, x.shape[1], at_once)
    )


def _same_operations(model: nn.Module, graph: Graph, x: np.ndarray) -> int:
    from benchmarks.spikingjelly_sgn import Peer, strict

    counting = counter(graph)
    record = Reference().compile(graph).run(x, counting.rasters)
    counts = counting.count(record.rasters)
    peer = strict(Peer(model, "m").eval().double())
    wide = torch.from_numpy(x).double()
    mine = spike_driven(counts, "sop_exact"), spike_driven(counts, "sop_nonzero")
    theirs = spikingjelly(peer, wide)(), round(neurobench(peer, wide)() * x.shape[1])
    if mine != theirs:
        raise SystemExit(f"ours {mine}, SpikingJelly and NeuroBench {theirs}: not the same operations")
    return mine[0]


def agree(counts: Counts, jelly: int, bench: float, samples: int) -> float:
    """Largest relative difference of what the timed runs counted, or it ends here. bench: a sample's mean."""
    pairs = (
        ("SpikingJelly", spike_driven(counts, "sop_exact"), jelly),
        ("NeuroBench", spike_driven(counts, "sop_nonzero"), round(bench * samples)),
    )
    for name, mine, theirs in pairs:
        if abs(mine - theirs) > FLOAT32 * mine:
            raise SystemExit(f"timed runs: ours {mine}, {name} {theirs}: not the same operations")
    return max(abs(mine - theirs) / mine for _, mine, theirs in pairs)


def beside(asked: argparse.Namespace) -> tuple[dict[str, tuple[Callable[[], Any], ...]], int]:
    """Ours and the peers on one network: (counter -> runs, samples)."""
    from benchmarks.spikingjelly_sgn import Peer

    model, graph, about = network(asked.run)
    feed = load_feed(about, None, asked.data, "test", asked.samples)
    _, x = next(feed.batches(asked.samples))
    same = same_operations(model, graph, x)
    print(f"the same {same} synaptic operations in {x.shape[1]} samples, float64", flush=True)
    peer, tensor = Peer(model, "m").eval(), torch.from_numpy(x)

    def plain() -> None:
        with torch.no_grad():
            peer(tensor)

    return {
        "basalt": ours(graph, x),
        # Its hooks keep what every run passes, others' too: a network of its own, or it counts theirs.
        "neurobench": (plain, neurobench(Peer(model, "m").eval(), tensor)),
        "spikingjelly": (plain, spikingjelly(peer, tensor)),
    }, x.shape[1]


def compare(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """A row a counter: seconds plain, with counting, and what counting adds."""
    pairs, rows = beside(asked) if asked.run else ({}, 0)
    for where in asked.artifact:
        opened = open_artifact(where)
        fed = load_feed(opened.about["source"], None, asked.data, "test", asked.samples)
        pairs[f"basalt, {opened.about['source']['model']}"] = ours(
            opened.graph("float"), next(fed.batches(asked.samples))[1]
        )
    times: dict[str, list[list[float]]] = {name: [] for name in pairs}
    counted: dict[str, Any] = {}
    for _ in range(asked.rounds + 1):
        for name, runs in pairs.items():
            for _ in range(5 if name.startswith("basalt") else 1):  # short ones are measured more often
                measured = [_measured(run) for run in runs]
                times[name].append([seconds for seconds, _ in measured])
                counted[name] = measured[1][1]
    if asked.run:
        apart = agree(counted["basalt"], counted["spikingjelly"], counted["neurobench"], rows)
        print(f"timed runs, float32: operations at most {apart:.2e} apart", flush=True)
    return [_row(name, times[name][1:], asked.samples) for name in pairs]  # the first compiles and allocates


def ours(graph: Graph, x: np.ndarray) -> tuple[Callable[[], Any], ...]:
    """Runs of a graph on ONNX Runtime: of its outputs alone, with counts, and with each neuron's spikes."""
    runner, counting = OnnxCpu(threads=1).compile(graph), counter(graph)
    bare = Session(scan_model(graph, counts=False).SerializeToString(), "graph", 1)
    plain = ScanRunner(bare, None, 1, runner.values)  # type: ignore[attr-defined]
    return (
        lambda: plain.run(x),
        lambda: counting.count(runner.run(x, counting.rasters).rasters),
        lambda: runner.run(x),
    )


def _measured(run: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the processor, and what the run gave."""
    start = time.process_time()
    found = run()
    return time.process_time() - start, found


def _row(name: str, times: list[list[float]], samples: int) -> dict[str, Any]:
    plain, counted, *spikes = (min(one) / samples for one in zip(*times, strict=True))
    return {"counter": name, "plain_s": plain, "counted_s": counted, "added_s": counted - plain,
            "share": counted / plain - 1, "with_spike_counts_s": spikes[0] if spikes else None,
            "share_of_that": counted / spikes[0] - 1 if spikes else None}  # fmt: skip


def main() -> None:
    """Parse, run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="a trained base-sgn, for the peers")
    parser.add_argument("--artifact", type=Path, action="append", default=[], help="another network of ours")
    parser.add_argument("--data", type=Path, help="where its data set lies")
    parser.add_argument("--samples", type=int, default=64, help="a batch; 64 is that of a report")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    if not asked.run and not asked.artifact:
        raise SystemExit("nothing to count: give --run, --artifact or both")
    if asked.run and (missing := [name for name in PEERS if find_spec(name) is None]):
        raise SystemExit(f"not there: {', '.join(missing)}; see requirements-bench.txt")
    torch.set_num_threads(1)
    print(f"{describe()}, torch {torch.__version__}, one thread", flush=True)
    found = compare(asked)
    base = found[0]
    print("{:>22}{:>12}{:>14}{:>12}{:>9}{:>16}{:>12}".format(
        "counter", "plain ms", "counting ms", "added ms", "added", "x our counting", "x in all"
    ))  # fmt: skip
    for row in found:
        other = row["counter"].startswith("basalt,")  # another network: no ratio means anything
        row["times_ours"] = np.nan if other else row["added_s"] / base["added_s"]
        row["times_ours_in_all"] = np.nan if other else row["counted_s"] / base["counted_s"]
        print(
            f"{row['counter']:>22}{1e3 * row['plain_s']:12.2f}{1e3 * row['counted_s']:14.2f}"
            f"{1e3 * row['added_s']:12.2f}{row['share']:9.1%}{row['times_ours']:16.1f}"
            f"{row['times_ours_in_all']:12.1f}"
            + (f"   {row['share_of_that']:+.1%} to the model as converted" if row["share_of_that"] else "")
        )
    if asked.json:
        rows = [
            {key: None if value != value else value for key, value in row.items()} for row in found
        ]  # NaN
        asked.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
