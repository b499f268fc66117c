"""`convert --to onnx` of a model that no chip holds any part of: float forms, and why there are no others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convert.artifact import new_artifact
from convert.ir import Graph, Unsupported, WindowNode, save_graph
from verbs.covering import shares
from verbs.output import say, write_json


def write_float_only(
    out: Path, graph: Graph, why: Unsupported, manifest: Mapping[str, Any], json_path: Path | None
) -> None:
    """The artifact at `out`, the result, and what is printed."""
    from convert import to_onnx

    body = {**manifest, "float_only": {"node": why.node, "reason": why.reason}}
    notes = [f"no integer form: {why.node}: {why.reason}", "scan.onnx holds the model in float32"]
    with new_artifact(out, "onnx", body) as draft:
        save_graph(draft / "float.npz", graph)
        to_onnx.write(draft / "scan.onnx", to_onnx.scan_model(graph))
        if not any(isinstance(node, WindowNode) for node in graph.nodes.values()):
            to_onnx.write(draft / "step.onnx", to_onnx.step_model(graph))
        files = sorted((f.name, f.stat().st_size) for f in draft.iterdir())
    write_json(json_path, {"artifact": str(out), **body, "notes": notes})
    parity = manifest["parity_with_torch"]
    say(
        f"same decision as torch on {parity['same_decision']:.0%} of {parity['samples']} samples, "
        f"largest score distance {parity['max_score_distance']:.2g}"
    )
    say("; ".join(notes))
    say(f"{out}: " + ", ".join(f"{name} {size / 1024:.0f} KiB" for name, size in files))
    say(shares(manifest["coverage"]))
