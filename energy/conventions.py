"""Conventions: what the field disagrees about when it turns spikes into operations, as switches.

Each field of `Convention` is one ambiguity; SWITCHES names its values, and what each means. NAMED holds the
conventions that have a name:

exact
    What really happened: every event with its own fan-out, borders left out, zeros skipped, coincidences in
    attention, whole numbers as MACs, and everything else that was counted.
paper-spikformer
    Spikformer (arXiv 2209.15425). E_MAC T FL of layers of real values, charged every step, and E_AC fr T FL
    of the others; fr is the mean value of a layer's input (a sum of spikes counts with its size), FL has its
    padding; an attention product goes by the rate of one operand. Nothing else is charged.
paper-sdt
    Spike-driven Transformer and Attention-SNN (Yao et al., supplement, table S1). The same, but fr is the
    share of non-zero values, and the first layer is MACs whatever enters: all of a still image, the non-zero
    share of event frames. Its terms of SDSA are not confirmed: the mask is charged as any product.
paper-spikingformer
    Spikingformer's counter (its repository's energy_consumption_calculation). As Spikformer, but a layer fed
    by sums of spikes is dense MACs; attention is K^T V first, fr_Q + min(fr_K, fr_V); a layer whose every
    input is active is MACs; the classifier is charged once, with its bias, as MACs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from convert.ir import BadInput


@dataclass(frozen=True)
class Convention:
    """One way to count. Fields: `SWITCHES`; `name` is what reports call it, changed switches included."""

    name: str
    first_layer: str
    first_operand: str
    rate: str
    zeros: str
    integers: str
    padding: str
    zero_weights: str
    zero_adjacency: str
    adjacency: str
    attention: str
    full_rate: str
    norm: str
    head: str
    pooling: str
    residual_adds: str
    neurons: str
    bias: str

    def describe(self) -> dict[str, Any]:
        """The whole convention, as JSON takes it: name, and every switch as the command line spells it."""
        switches = {_spelled(field): value for field, value in asdict(self).items() if field != "name"}
        return {"name": self.name, "switches": switches}

    def switched(self, switch: str, value: str) -> Convention:
        """The same with one switch set, and its name saying so; BadInput for what is no switch or value."""
        check(switch, value)
        if getattr(self, field := switch.replace("-", "_")) == value:
            return self
        name = f"{self.name}{'+' if '+' not in self.name else ','}{_spelled(switch)}={value}"
        return replace(self, **{"name": name, field: value})


COUNTED = {"counted": "charged", "ignored": "0, as in the papers"}
SWITCHES: dict[str, dict[str, str]] = {
    "first-layer": {
        "steps": "layers that read the network's real or graded input work at every step",
        "once": "once a run: the input does not change and its current is kept (direct coding)",
    },
    "first-operand": {
        "class": "they are AC or MAC by the class of what enters",
        "mac": "they are MACs, be the input spikes",
    },
    "rate": {
        "events": "every non-zero value passes its own synapses",
        "nonzero": "share of non-zero values . T . FL",
        "mean": "mean size of the values . T . FL",
    },
    "zeros": {
        "skipped": "a real value that is exactly zero is no operation",
        "charged": "layers of real operands are dense",
    },
    "integers": {
        "mac": "a whole number above 1 (sums of spikes, graded values) is a MAC a synapse",
        "bit-serial": "it is ceil(log2(max + 1)) ACs a synapse",
        "ac": "a sum of spikes is as many ACs as its size, or its rate; a graded value a real one",
        "dense-mac": "a layer fed by whole numbers is dense MACs",
    },
    "padding": {
        "inbounds": "synapses from padding do not exist",
        "dense": "they are counted: every value is charged the mean fan-out of the padded map",
    },
    "zero-weights": {
        "counted": "a synapse whose weight is exactly zero is an operation",
        "skipped": "it is none: all in proportion to the synapses that were passed and are not zero",
    },
    "zero-adjacency": {
        "counted": "an adjacency entry of a graph convolution that is exactly zero is an operation",
        "skipped": "it is none, in the same way",
    },
    "adjacency": {
        "real": "of a graph convolution: its operand is W x, real values, so MACs",
        "input": "it is charged as the layer's input is, at its rate",
    },
    "attention": {
        "coincidences": "a product of spikes is one AC where two meet",
        "operand": "every spike of the left operand meets all its partners",
        "kv": "K^T V first: d (nnz_Q + min(nnz_K, nnz_V)); as operand where a neuron lies between",
    },
    "full-rate": {
        "ac": "a spiking layer is ACs at any rate",
        "mac": "MACs where every input is active at every step",
    },
    "norm": {
        "mac": "a batch norm that is not folded is 1 MAC a value",
        "folded": "0: as if it were folded",
        "mac-ac": "1 MAC and 1 AC a value",
        "two-macs": "2 MACs a value",
    },
    "head": {
        "counted": "the last layer is a layer",
        "ignored": "0",
        "mac-once": "dense MACs of one step, its bias as MACs",
    },
    "pooling": COUNTED,
    "residual-adds": COUNTED,
    "neurons": COUNTED,
    "bias": COUNTED,
}

_EXACT = Convention(
    "exact", first_layer="steps", first_operand="class", rate="events", zeros="skipped", integers="mac",
    padding="inbounds", zero_weights="counted", zero_adjacency="counted", adjacency="real",
    attention="coincidences", full_rate="ac", norm="mac", head="counted", pooling="counted",
    residual_adds="counted", neurons="counted", bias="counted",
)  # fmt: skip
_SPIKFORMER = Convention(
    "paper-spikformer", first_layer="steps", first_operand="class", rate="mean", zeros="charged",
    integers="ac", padding="dense", zero_weights="counted", zero_adjacency="counted", adjacency="input",
    attention="operand", full_rate="ac", norm="folded", head="counted", pooling="ignored",
    residual_adds="ignored", neurons="ignored", bias="ignored",
)  # fmt: skip
_SDT = replace(_SPIKFORMER, name="paper-sdt", rate="nonzero", first_operand="mac")
_SPIKINGFORMER = replace(
    _SPIKFORMER, name="paper-spikingformer", integers="dense-mac", attention="kv", full_rate="mac",
    head="mac-once",
)  # fmt: skip
NAMED: dict[str, Convention] = {c.name: c for c in (_EXACT, _SPIKFORMER, _SDT, _SPIKINGFORMER)}
DEFAULT = (NAMED["exact"], NAMED["paper-spikformer"])


def convention(name: str) -> Convention:
    """The convention of that name; BadInput listing the known ones otherwise."""
    if name not in NAMED:
        raise BadInput(f"convention {name!r} is unknown; known: {', '.join(NAMED)}")
    return NAMED[name]


def check(switch: str, value: str) -> None:
    """BadInput if there is no such switch, or it has no such value."""
    values = SWITCHES.get(_spelled(switch))
    if values is None:
        raise BadInput(f"switch {switch!r} is unknown; known: {', '.join(SWITCHES)}")
    if value not in values:
        raise BadInput(f"switch {_spelled(switch)}={value}: unknown value; known: {', '.join(values)}")


def others(base: Convention) -> tuple[tuple[str, str, Convention], ...]:
    """(switch, value, convention) for every convention one switch away from `base`."""
    return tuple(
        (switch, value, base.switched(switch, value))
        for switch, values in SWITCHES.items()
        for value in values
        if getattr(base, switch.replace("-", "_")) != value
    )


def _spelled(field: str) -> str:
    return field.replace("_", "-")
