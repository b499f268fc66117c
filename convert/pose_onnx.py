"""A pose network as ONNX: images in, joints out, the decoder in the graph.

    network    x float32 [N, 3, H, W] -> one tensor a head: heatmap [N, K, h, w], offset [N, K, 2, h, w]
    whole      the same, and behind it the codec's decoder: -> xy [N, K, 2] pixels of the input, score [N, K]

x is (RGB / 255 - mean) / spread; the batch is dynamic. The network alone is what is quantised: the decoder
stays in float32 in every form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from onnx import compose, helper

from convert.ir import Graph
from convert.onnx_model.builder import IR_VERSION, OPSET, Builder
from convert.onnx_model.frames import split_vectors, write_frames
from convert.onnx_model.layers import FORMAT
from convert.onnx_model.pose_decoder import decoder_model

NETWORK, WHOLE = "pose-network", "pose"


def network_model(graph: Graph, heads: Sequence[str], kinds: Sequence[str], joints: int) -> onnx.ModelProto:
    """The network of a folded float graph whose outputs are the heads' maps [C, h, w], in their order."""
    b = Builder()
    found = write_frames(b, graph)
    b.scope = "out"
    for name, kind, node in zip(heads, kinds, graph.outputs, strict=True):
        channels, *shape = graph.shapes[node]
        vector = kind == "vector"
        tensor = split_vectors(b, found[node], joints, tuple(shape)) if vector else found[node]
        b.give(name, tensor, "float32", ("N", joints, 2, *shape) if vector else ("N", channels, *shape))
    return b.model("pose_network", {"basalt.format": FORMAT, "basalt.form": NETWORK})


def whole_model(network: bytes, description: Mapping[str, Any], about: Mapping[str, Any]) -> onnx.ModelProto:
    """A network, float or 8 bits, with the codec's decoder behind it; about: what its metadata says."""
    front, back = onnx.load_model_from_string(network), decoder_model(description)
    for model in (front, back):
        model.ir_version = IR_VERSION
    back = compose.add_prefix(back, "decode.", rename_inputs=True, rename_outputs=False)
    names = [(o.name, f"decode.{o.name}") for o in front.graph.output]
    del front.opset_import[:]
    front.opset_import.extend([helper.make_opsetid("", OPSET)])
    del back.opset_import[:]
    back.opset_import.extend([helper.make_opsetid("", OPSET)])
    del front.metadata_props[:]
    del back.metadata_props[:]
    model = compose.merge_models(front, back, io_map=names, name="pose")
    told = {"basalt.format": FORMAT, "basalt.form": WHOLE, "pose": json.dumps(about, sort_keys=True)}
    for key, value in sorted(told.items()):
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model, full_check=True)
    return model
