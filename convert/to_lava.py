"""Program -> `.net`, the HDF5 file lava-dl's netx loads, for a chain that netx computes rightly.

A `.net` is one input and layers one after another: `dense`, `dense_rec`, `conv`, and `flatten` before a dense
layer whose source has (C, H, W). Weights are written as the integers they are worth, `mantissa << exp`; netx
shifts them into its own mantissas and exponent, the same product (see `net_weights`). Before a byte is
written

    1  the populations must be a chain (`net_groups`), each with a neuron the format has
    2  the linter must find no error in the layers: nothing netx would ignore, clip or begin too early
    3  the reader must make the same program of the layers: shapes, neurons, worth of weights, delays

What does not pass is refused with the reason; the program file serves the Lava worker then. A sigma-delta
network is written as slayer writes it, with an input neuron: load it with Network(skip_layers=1).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convert.ir import BasaltError, Program, Unsupported
from convert.ir.node import Node
from convert.ir.program import Projection
from convert.net_chain import program as program_of
from convert.net_finding import Report
from convert.net_format import Layer, write_layers
from convert.net_groups import chain, layers_of
from convert.net_lint import lint_layers
from convert.net_reader import stages_of

REMEDY = "run the program file on the Lava worker instead, which holds any program"


def write_net(path: Path, program: Program) -> None:
    """Write the program as `.net`; Unsupported if it is no chain."""
    reasons, layers = _layers(program)
    if reasons:
        raise Unsupported(".net", "; ".join(reasons), REMEDY)
    write_layers(path, layers)


def chain_reasons(program: Program) -> list[str]:
    """Why a `.net` cannot hold the program; empty if it can."""
    return _layers(program)[0]


def _layers(program: Program) -> tuple[list[str], list[Layer]]:
    links, reasons = chain(program)
    if reasons:
        return reasons, []  # case 1
    layers, names = layers_of(program, links)
    if found := _faults(layers, names):
        return found, []  # case 2
    try:
        back = program_of(stages_of("the network", layers), {})
    except BasaltError as error:
        return [str(error)], []
    differs = difference(program, back)
    return ([f"{differs} would read back differently"] if differs else []), layers  # case 3


def _faults(layers: list[Layer], names: list[str]) -> list[str]:
    """The linter's errors, and sums that may wrap, said of the populations."""
    report = Report()
    lint_layers(report, layers)
    found = []
    for f in report.findings:
        if f.severity == "error" or f.netx.startswith("wraps"):
            if layers[0].get("neuron", {}).get("type") == "SDNN" and f.place == "layer 0 (input): neuron":
                continue
            place, _, dataset = f.place.partition(": ")
            number = int(place.split()[1])
            found.append(f"{names[number]}: {dataset + ': ' if dataset else ''}{f.found}; netx {f.netx}")
    return found


def difference(a: Program, b: Program) -> str | None:
    """Where two chains differ in what they compute, names left out; None if they are the same program."""
    ranks = [{name: i for i, name in enumerate(p.populations)} for p in (a, b)]
    if len(ranks[0]) != len(ranks[1]):
        return f"{len(ranks[0])} populations, {len(ranks[1])} when read: the chain"
    for x, y in zip(a.populations.values(), b.populations.values(), strict=True):
        if (x.shape, x.latency) != (y.shape, y.latency) or not _same_model(x.model, y.model):
            return x.name
    links = [
        {_key(p, rank): p for p in program.projections} for program, rank in zip((a, b), ranks, strict=True)
    ]
    if set(links[0]) != set(links[1]):
        return "a delay"
    return next(
        (p.name for k, p in links[0].items() if not np.array_equal(worth(p), worth(links[1][k]))), None
    )


def _key(p: Projection, rank: dict[str, int]) -> tuple[int, int, str, int]:
    return rank[p.src], rank[p.dst], p.port, p.delay


def _same_model(a: Node, b: Node) -> bool:
    x, y = a.fields(), b.fields()
    return type(a) is type(b) and all(np.array_equal(_plain(x[k]), _plain(y[k])) for k in x)


def _plain(value: object) -> np.ndarray:
    return np.zeros(0) if value is None else np.asarray(value)


def worth(p: Projection) -> np.ndarray:
    """What the synapses are worth: mantissas times 2 ** exp, int64 [out, in]; exp below 0 kept as a float."""
    dense = p.weights.to_dense()
    return dense << p.exp if p.exp >= 0 else dense / 2.0**-p.exp
