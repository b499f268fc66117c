"""Graph -> ONNX: a step model with explicit state, and a scan model over whole windows.

    step   x [N, *shape], <state>... -> outputs at this step, <state>_next...     for streams
    scan   x [T, N, *shape]          -> outputs after the last step, counts, rasters; T and N are dynamic

Linear nodes treat all steps at once, so that a layer is one large product; only the neuron's update is inside
a Scan. Neurons are functions of the domain `basalt.neuron`, with a body: any runtime can run them. An integer
graph (stage 'integer') gives integer models, exact in every spike: each node's number type is proven by
bounds from its own weights (`onnx_model.arithmetic`). x is then the encoded integer, uint8 or int32.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import onnx

from convert.ir import ArtifactError, Graph
from convert.ir.check import check
from convert.ir.files import whole
from convert.onnx_model.layers import FORMAT, Writer


def step_model(graph: Graph, probes: Collection[str] = ()) -> onnx.ModelProto:
    """One step with explicit state; batch is dynamic. A node that needs the whole window is refused.

    In: `x` and every state, `<neuron>.v`, `<neuron>.u` where a current is kept, `<node>.past` [steps, N, ...]
    of a StepConv or Delay. Out: every graph output's value at this step (spikes as uint8), every
    `<state>_next`, `<probe>.spikes`. States are zero before the first step; metadata `states` lists them.
    """
    return Writer(check(graph), stream=True, probes=probes, counts=False).model()


def scan_model(
    graph: Graph, probes: Collection[str] = (), counts: bool = True, laid: bool = False
) -> onnx.ModelProto:
    """All steps of a window; steps and batch are dynamic (behind a window node the steps are its own).

    Out: every graph output (a readout's value after the last step, a spiking node's count), `<node>.count`
    int64 [N, *shape] of every spiking node if `counts`, `<probe>.raster` uint8 [T, N, *shape]; if `laid`, as
    the runtime has them: bool, with the channels last for those that metadata `last` names; where all
    are probed, so are the products of spikes that more than a neuron reads, uint8 (metadata `products`).
    """
    return Writer(check(graph), stream=False, probes=probes, counts=counts, laid=laid).model()


def write(path: Path, model: onnx.ModelProto) -> None:
    """Write a model, whole or not at all; the same graph gives the same bytes."""
    with whole(Path(path)) as draft:
        draft.write_bytes(model.SerializeToString(deterministic=True))


_TEXT_KEYS = ("basalt.format", "basalt.form", "stage", "dt_s", "reset", "comparison", "tick_order")


def read_metadata(model: bytes, where: str) -> dict[str, Any]:
    """What a written model says of itself; ArtifactError if it is none of ours. where: its name in errors."""
    try:
        found = {p.key: p.value for p in onnx.load_model_from_string(model).metadata_props}
        parsed = {k: v if k in _TEXT_KEYS else json.loads(v) for k, v in found.items()}
    except Exception as error:  # protobuf's own error class is not onnx's to name
        reason = " ".join(str(error).split())
        raise ArtifactError(
            f"{where}: not a readable ONNX model ({reason}); convert the model again"
        ) from error
    if parsed.get("basalt.format") != FORMAT:
        got = parsed.get("basalt.format")
        raise ArtifactError(f"{where}: format is {got!r}, expected {FORMAT!r}; convert the model again")
    return parsed
