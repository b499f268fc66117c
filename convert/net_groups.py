"""A program as the layer groups of a `.net`: the chain it must be, and one dict a layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convert.ir import (
    ConvWeights,
    Input,
    LoihiDelta,
    LoihiLIF,
    LoihiRF,
    LoihiRFIZ,
    LoihiSigma,
    LoihiSigmaDelta,
    Population,
    Program,
    Projection,
)
from convert.net_format import Layer
from convert.net_neurons import SPIKE_EXP, STATE_EXP

HELD = (LoihiLIF, LoihiRF, LoihiRFIZ, LoihiDelta, LoihiSigma, LoihiSigmaDelta)


@dataclass(frozen=True, eq=False)
class Link:
    """A population, the projections into it from the one before, and the one from itself."""

    population: Population
    source: Population
    into: tuple[Projection, ...]
    back: Projection | None


def chain(program: Program) -> tuple[list[Link], list[str]]:
    """(links from the input on, reasons why there is no such chain)."""
    inputs = program.inputs()
    if len(inputs) != 1:
        return [], [f"{len(inputs)} inputs; a .net has one"]
    reasons = []
    for name in program.populations:
        if len({p.dst for p in program.projections if p.src == name} - {name}) > 1:
            out = [p.name for p in program.projections if p.src == name]
            reasons.append(f"{name}: branches into {', '.join(out)}; a .net is a chain")
    links = [_link(program, program.populations[n]) for n in program.neurons()]
    reasons += [r for link in links for r in _reasons(program, link)]
    if reasons:
        return [], reasons
    by_source = {link.source.name: link for link in links}
    ordered, here = [], inputs[0]
    while here in by_source:
        ordered.append(by_source.pop(here))
        here = ordered[-1].population.name
    if by_source or not ordered:
        return [], ["not every population lies on the way from the input; a .net is a chain"]
    if program.outputs != (here,):
        return [], [f"outputs {', '.join(program.outputs)}; a .net gives its last layer"]
    return ordered, _ends(program, ordered)


def _link(program: Program, population: Population) -> Link:
    into = program.into(population.name)
    outer = tuple(p for p in into if p.src != population.name)
    back = next((p for p in into if p.src == population.name), None)
    source = program.populations[outer[0].src] if outer else population
    return Link(population, source, outer, back)


def _reasons(program: Program, link: Link) -> list[str]:
    name, model = link.population.name, link.population.model
    if not isinstance(model, HELD):
        return [f"{name}: {type(model).__name__}; a .net holds LIF, RF and sigma-delta neurons"]
    if isinstance(model, LoihiLIF) and np.any(model.bias):
        return [f"{name}: has a bias, which netx integrates a step before the layer's first input"]
    into = program.into(name)
    if len({p.src for p in link.into}) != 1 or sum(p.src == name for p in into) > 1:
        names = ", ".join(p.name for p in into)
        return [f"{name}: {len(into)} projections come in ({names}); a chain has one"]
    reasons = [f"{p.name}: drops bits of the sum (exponent {p.exp}); a .net holds whole weights"
               for p in into if not _is_whole(p)]  # fmt: skip
    idle = link.population.latency - link.source.latency - 1
    if idle:
        reasons.append(
            f"{link.into[0].name}: {idle} idle steps align it; a .net cannot tell them from a delay"
        )
    if link.back is not None and link.back.delay != 1:
        reasons.append(f"{link.back.name}: a recurrence of delay {link.back.delay}; a .net has 1")
    if any(isinstance(p.weights, ConvWeights) and p.delay for p in link.into):
        reasons.append(f"{link.into[0].name}: a convolution with a delay; netx ignores the delay of a conv")
    if not isinstance(model, LoihiLIF) and link.back is not None:
        reasons.append(f"{name}: a recurrence of {type(model).__name__}; a .net has it for LIF")
    if isinstance(model, LoihiLIF | LoihiRF | LoihiRFIZ):
        return reasons + ([f"{name}: state_exp {model.state_exp}; netx takes 6"]
                          if not isinstance(model, LoihiLIF) and model.state_exp != 6 else [])  # fmt: skip
    return reasons + _sigma_delta(name, model)


def _sigma_delta(name: str, model: LoihiDelta | LoihiSigma | LoihiSigmaDelta) -> list[str]:
    if isinstance(model, LoihiSigma):
        return []
    said = [f"{k} {getattr(model, k)}" for k, want in (("spike_exp", SPIKE_EXP), ("state_exp", STATE_EXP))
            if getattr(model, k) != want]  # fmt: skip
    if isinstance(model, LoihiSigmaDelta):
        said += [f"activation {model.act}"] if model.act != "relu" else []
        if np.any(model.bias):
            said.append("a bias, which netx begins a step before the layer's first input")
    said += [field for field in ("cum_error", "carry") if getattr(model, field)]
    return [
        f"{name}: {what}; netx takes {SPIKE_EXP}, {STATE_EXP}, relu, no cum_error and no carry"
        for what in said
    ]


def _ends(program: Program, links: list[Link]) -> list[str]:
    """What the input and the neuron on it must be."""
    (name,) = program.inputs()
    model = program.populations[name].model
    first = links[0].population.model
    if isinstance(first, LoihiDelta):
        return [] if _encoded(links[0]) is not None else [f"{name}: not the input slayer's SDNN has"]
    if any(isinstance(link.population.model, LoihiDelta) for link in links):
        return ["a Delta inside the network; a .net has it on its input"]
    if isinstance(model, Input) and model.operand != "binary":
        return [f"{name}: {model.operand} input; a .net takes spikes"]
    return []


def _encoded(link: Link) -> int | None:
    """The weight (64 is 1.0) of the input neuron that slayer's Input block is; None if it is none."""
    model, p = link.source.model, link.into[0]
    worth = _worth(p)
    if not isinstance(model, Input) or (model.operand, model.scale, model.bits) != ("graded", 1 / 32, 8):
        return None
    size = link.population.size
    if worth is None or len(link.into) > 1 or p.delay or isinstance(p.weights, ConvWeights):
        return None
    return (
        int(worth[0, 0]) * 32 if np.array_equal(worth, np.eye(size, dtype=np.int64) * worth[0, 0]) else None
    )


def layers_of(program: Program, links: list[Link]) -> tuple[list[Layer], list[str]]:
    """(layer groups, for each the name of its population)."""
    source = links[0].source
    layers: list[Layer] = [{"type": "input", "shape": _ints(source.shape)}]
    names = [source.name]
    if isinstance(links[0].population.model, LoihiDelta):
        weight = _encoded(links[0])
        if weight != 64 or "weight" in _noted(program, links[0].population.name):
            layers[0]["weight"] = np.array([weight], np.float32)
        layers[0]["neuron"] = _neuron(program, links[0].population)
        names, links = [links[0].population.name], links[1:]
    for link in links:
        conv = isinstance(link.into[0].weights, ConvWeights) and len(link.into) == 1
        if not conv and len(link.source.shape) == 3:
            layers.append({"type": "flatten", "shape": _ints((link.source.size, 1, 1))})
            names.append(link.population.name)
        layers.append(_conv(program, link) if conv else _dense(program, link))
        names.append(link.population.name)
    return layers, names


def _dense(program: Program, link: Link) -> Layer:
    out, into = link.population.size, link.source.size
    ports = [tuple(p for p in link.into if p.port == port) for port in link.population.model.ports]
    parts = [sum(_whole(p) for p in group) for group in ports]
    layer: Layer = {"type": "dense", "shape": _ints(link.population.shape)}
    layer |= {"inFeatures": np.int64(into), "outFeatures": np.int64(out)}
    if len(parts) == 2:
        layer["weight"] = {k: p.astype(np.float32) for k, p in zip(("real", "imag"), parts, strict=True)}
    else:
        layer["weight"] = np.asarray(parts[0], np.float32)
    if link.back is not None:
        layer |= {"type": "dense_rec", "weight_rec": _whole(link.back).astype(np.float32)}
    delay = _delay(link, out, into)
    noted = _noted(program, link.population.name)
    if delay.any() or "delay" in noted:
        layer["delay"] = delay.astype(np.float32)
    if "bias" in noted:
        layer["bias"] = np.zeros(link.population.shape[0], np.float32)
    return layer | {"neuron": _neuron(program, link.population)}


def _delay(link: Link, out: int, into: int) -> np.ndarray:
    """One delay an output where that says it, else one a synapse: int64 [out] or [out, in]."""
    full = np.zeros((out, into), np.int64)
    for p in link.into:
        target, source, _ = p.weights.synapses()
        full[target, source] = p.delay
    per_output = full.max(axis=1, initial=0)
    said = all((per_output[p.weights.synapses()[0]] == p.delay).all() for p in link.into)
    return per_output if said else full


def _conv(program: Program, link: Link) -> Layer:
    (p,) = link.into
    w = p.weights
    assert isinstance(w, ConvWeights)  # _link found it so
    layer: Layer = {
        "type": "conv", "shape": _ints(link.population.shape), "weight": _whole(p).astype(np.float32),
        "inChannels": np.int64(w.in_shape[0]), "outChannels": np.int64(w.out_shape[0]),
        "kernelSize": _ints(w.kernel.shape[2:]), "stride": _ints(w.stride), "padding": _ints(w.padding),
        "dilation": _ints(w.dilation), "groups": np.int64(w.groups),
    }  # fmt: skip
    for key in ("bias", "delay"):
        if key in _noted(program, link.population.name):
            layer[key] = np.zeros(link.population.shape[0], np.float32)
    return layer | {"neuron": _neuron(program, link.population)}


def _neuron(program: Program, population: Population) -> Layer:
    model, noted = population.model, _noted(program, population.name)
    exp = {"weight_exp": np.zeros(1, np.float32)} if "weight_exp" in noted else {}
    if isinstance(model, LoihiLIF):
        return {
            "type": "CUBA", "iDecay": _ravel(model.du + 1), "vDecay": _ravel(model.dv),
            "vThMant": np.int64(model.vth), "refDelay": np.int64(1), "gradedSpike": np.bool_(False),
        } | exp  # fmt: skip
    if isinstance(model, LoihiRF | LoihiRFIZ):
        return {
            "type": "RF_PHASE" if isinstance(model, LoihiRF) else "RF_IZHIKEVICH",
            "sinDecay": np.int64(model.sin_decay), "cosDecay": np.int64(model.cos_decay),
            "vThMant": np.int64(model.vth), "gradedSpike": np.bool_(False),
        }  # fmt: skip
    if isinstance(model, LoihiSigma):
        vth = np.int64(noted.get("vThMant", "64"))
        return {"type": "SDNN", "activation": "relu", "vThMant": vth, "sigma_output": np.bool_(True)}
    return {"type": "SDNN", "activation": "relu", "vThMant": np.int64(model.vth)} | exp


def _noted(program: Program, name: str) -> dict[str, str]:
    """Datasets a file had and a program has no place for: zeros, a weight of 1, a sigma's threshold."""
    pairs = (item.partition("=") for item in program.meta.get(f"net.{name}", "").split())
    return {key: value for key, _, value in pairs}


def _whole(p: Projection) -> np.ndarray:
    worth = _worth(p)
    assert worth is not None  # _reasons has refused it
    return worth


def _is_whole(p: Projection) -> bool:
    """Whether the weights are worth integers; asked of every projection, so without a dense matrix."""
    return p.exp >= 0 or not (p.weights.stored.astype(np.int64) % (1 << -p.exp)).any()


def _worth(p: Projection) -> np.ndarray | None:
    """The integers the weights are worth, int64 [out, in] or [out, in / groups, kh, kw]; or None."""
    mantissa = (
        p.weights.kernel.astype(np.int64) if isinstance(p.weights, ConvWeights) else p.weights.to_dense()
    )
    if not _is_whole(p):
        return None
    return mantissa << p.exp if p.exp >= 0 else mantissa >> -p.exp


def _ravel(value: int | np.ndarray) -> np.ndarray | np.int64:
    return np.ravel(value).astype(np.int64) if np.ndim(value) else np.int64(value)


def _ints(values: tuple[int, ...]) -> np.ndarray:
    return np.array(values, np.int64)
