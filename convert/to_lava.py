"""Program -> `.net`, the HDF5 file lava-dl's netx loads, when the program is a chain that it can hold.

A `.net` is one input and layers one after another: `dense`, `conv`, and `flatten` between a conv and a dense.
Weights are written as the integers they are worth, `mantissa << exp`; netx shifts them into its own mantissas
and exponent, the same product (see `net_weights`). What does not fit is refused with the reason; the program
file serves the Lava worker then. Sources: lava-dl 0.6.0, `netx/hdf5.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convert.ir import ConvWeights, Input, LoihiLIF, Population, Program, Projection, Unsupported
from convert.net_format import Layer, write_layers
from convert.net_weights import fault

CONV_WRAP = 1 << 23  # Lava's Conv wraps sums to 24 bits
REMEDY = "run the program file on the Lava worker instead, which holds any program"


def write_net(path: Path, program: Program) -> None:
    """Write the program as `.net`; Unsupported if it is no chain."""
    reasons = chain_reasons(program)
    if reasons:
        raise Unsupported(".net", "; ".join(reasons), REMEDY)
    (source,) = program.inputs()
    layers: list[Layer] = [{"type": "input", "shape": _ints(program.populations[source].shape)}]
    for p in _order(program):
        conv, after_conv = isinstance(p.weights, ConvWeights), _is_conv(program, p.src)
        if after_conv and not conv:
            layers.append({"type": "flatten", "shape": _ints((program.populations[p.src].size, 1, 1))})
        layers.append(_conv(program, p) if conv else _dense(program, p))
    write_layers(path, layers)


def chain_reasons(program: Program) -> list[str]:
    """Why a `.net` cannot hold the program; empty if it can."""
    inputs = program.inputs()
    if len(inputs) != 1:
        return [f"{len(inputs)} inputs; a .net has one"]
    reasons = []
    model = program.populations[inputs[0]].model
    if isinstance(model, Input) and model.operand != "binary":
        reasons.append(f"{inputs[0]}: {model.operand} input; a .net takes spikes")
    for name in program.populations:
        out = [p.name for p in program.projections if p.src == name]
        if len(out) > 1:
            reasons.append(f"{name}: branches into {', '.join(out)}; a .net is a chain")
    for name in program.neurons():
        reasons += _population(program, program.populations[name])
    if not reasons and [p.dst for p in _order(program)][-1:] != list(program.outputs):
        reasons.append(f"outputs {', '.join(program.outputs)}; a .net gives its last layer")
    if not reasons and len(_order(program)) != len(program.neurons()):
        reasons.append("not every population lies on the way from the input; a .net is a chain")
    return reasons


def _order(program: Program) -> list[Projection]:
    """Projections from the input on, each starting where the one before ends."""
    (here,) = program.inputs()
    found: list[Projection] = []
    while following := [p for p in program.projections if p.src == here and p not in found]:
        found.append(following[0])
        here = following[0].dst
    return found


def _population(program: Program, population: Population) -> list[str]:
    name, model = population.name, population.model
    if not isinstance(model, LoihiLIF):
        return [f"{name}: {type(model).__name__}; a .net holds spiking neurons"]
    reasons = []
    if model.bias_mant is not None and model.bias_mant.any():
        reasons.append(f"{name}: has a bias, which netx integrates a step before the layer's first input")
    into = program.into(name)
    if len(into) != 1:
        reasons.append(
            f"{name}: {len(into)} projections come in ({', '.join(p.name for p in into)}); a chain has one"
        )
        return reasons
    return reasons + _projection(program, into[0])


def _projection(program: Program, p: Projection) -> list[str]:
    reasons = []
    idle = program.populations[p.dst].latency - program.populations[p.src].latency - 1
    if idle:
        reasons.append(f"{p.name}: {idle} idle steps align it; a .net cannot tell them from a delay")
    conv = isinstance(p.weights, ConvWeights)
    if conv and p.delay:
        reasons.append(f"{p.name}: a convolution with delay {p.delay}; netx ignores the delay of a conv")
    worth = _worth(p)
    if worth is None:
        reasons.append(f"{p.name}: exponent {p.exp} drops bits of the sum; a .net holds whole weights")
    elif why := fault(worth):
        reasons.append(f"{p.name}: {why}")
    elif conv and int(np.abs(worth).sum(axis=(1, 2, 3)).max()) >= CONV_WRAP:
        reasons.append(f"{p.name}: sums may pass 2^23, where Lava's Conv wraps")
    if conv and not (_is_conv(program, p.src) or p.src in program.inputs()):
        reasons.append(f"{p.name}: a convolution after the dense layer {p.src}; netx cannot reshape")
    return reasons


def _is_conv(program: Program, name: str) -> bool:
    """Whether the population is made by a convolution: netx then holds it as (W, H, C)."""
    return any(isinstance(p.weights, ConvWeights) for p in program.into(name))


def _worth(p: Projection) -> np.ndarray | None:
    """The integers the weights are worth, int64 [out, in] or [out, in / groups, kh, kw]; or None."""
    mantissa = (
        p.weights.kernel.astype(np.int64) if isinstance(p.weights, ConvWeights) else p.weights.to_dense()
    )
    if p.exp >= 0:
        return mantissa << p.exp
    return None if (mantissa % (1 << -p.exp)).any() else mantissa >> -p.exp


def _neuron(model: LoihiLIF) -> Layer:
    return {
        "type": "CUBA", "iDecay": np.int64(model.du + 1), "vDecay": np.int64(model.dv),
        "vThMant": np.int64(model.vth), "refDelay": np.int64(1), "gradedSpike": np.bool_(False),
    }  # fmt: skip


def _common(program: Program, p: Projection, kind: str) -> Layer:
    population, worth = program.populations[p.dst], _worth(p)
    if worth is None or not isinstance(population.model, LoihiLIF):  # chain_reasons lets neither through
        raise Unsupported(p.name, "cannot be written as .net", REMEDY)
    neuron = _neuron(population.model)
    return {
        "type": kind,
        "shape": _ints(population.shape),
        "weight": worth.astype(np.float32),
        "neuron": neuron,
    }


def _dense(program: Program, p: Projection) -> Layer:
    out, into = p.weights.shape
    layer = _common(program, p, "dense") | {"inFeatures": np.int64(into), "outFeatures": np.int64(out)}
    if p.delay:
        layer["delay"] = np.full(out, p.delay, np.float32)  # netx repeats it along each row
    return layer


def _conv(program: Program, p: Projection) -> Layer:
    w = p.weights
    if not isinstance(w, ConvWeights):
        raise Unsupported(p.name, "is no convolution", REMEDY)
    return _common(program, p, "conv") | {
        "inChannels": np.int64(w.in_shape[0]), "outChannels": np.int64(w.out_shape[0]),
        "kernelSize": _ints(w.kernel.shape[2:]), "stride": _ints(w.stride), "padding": _ints(w.padding),
        "dilation": _ints(w.dilation), "groups": np.int64(w.groups),
    }  # fmt: skip


def _ints(values: tuple[int, ...]) -> np.ndarray:
    return np.array(values, np.int64)
