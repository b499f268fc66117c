"""Graphs and programs as files: one npz, arrays plus a JSON description. No pickle, whole or not at all.

`graph.json` inside holds the format's name and version, the nodes' types and scalar fields, and the names
of the arrays; a field that is an array is stored as `<node>/<field>`. The same content gives the same bytes.

Version 2 has ports of projections, convolutions that wrap, and the synapses of an Affine; a version 1 has
none of them and is read as it was meant.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from convert.ir.check import check
from convert.ir.errors import ArtifactError, BasaltError, LimitError
from convert.ir.files import whole
from convert.ir.graph import Graph
from convert.ir.node import NODES, Node
from convert.ir.program import ConvWeights, DenseWeights, Population, Program, Projection, SparseWeights

FORMAT_VERSION = 2
READABLE = (1, 2)
_WEIGHTS = {c.__name__: c for c in (DenseWeights, SparseWeights, ConvWeights)}
Arrays = dict[str, np.ndarray]
_UNREADABLE = (  # what numpy, zipfile and json raise on damaged bytes, and nodes on fields of a wrong type
    OSError, EOFError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def save_graph(path: Path, graph: Graph) -> None:
    """Write a graph."""
    body, arrays = packed(graph)
    _write(path, "basalt-graph", arrays, body)


def packed(graph: Graph) -> tuple[dict[str, Any], Arrays]:
    """A graph as plain JSON values and arrays by name, as its file holds them."""
    arrays: Arrays = {}
    nodes = {n: _pack(n, type(node).__name__, node.fields(), arrays) for n, node in graph.nodes.items()}
    body = {
        "nodes": nodes, "edges": graph.edges, "outputs": graph.outputs, "stage": graph.stage,
        "dt_s": graph.dt_s, "meta": dict(graph.meta),
    }  # fmt: skip
    return body, arrays


def unpacked(body: Mapping[str, Any], arrays: Arrays, where: str) -> Graph:
    """The checked graph of what `packed` gave (nodes as pairs will do); ArtifactError names `where`."""
    try:
        return _graph(dict(body), arrays)
    except LimitError as error:
        raise LimitError(f"{where}: {error.node}", error.reason, error.remedy) from error
    except (*_UNREADABLE, BasaltError) as error:
        raise ArtifactError(f"{where}: holds no readable graph ({error})") from error


def load_graph(path: Path) -> Graph:
    """Read a graph and check it; ArtifactError if the file is not one, LimitError if no chip holds it."""
    return _read(path, "basalt-graph", _graph)


def save_program(path: Path, program: Program) -> None:
    """Write a program."""
    arrays: Arrays = {}
    populations = {
        n: {"shape": p.shape, "latency": p.latency,
            "model": _pack(f"population/{n}", type(p.model).__name__, p.model.fields(), arrays)}
        for n, p in program.populations.items()
    }  # fmt: skip
    projections = [
        {"name": p.name, "src": p.src, "dst": p.dst, "exp": p.exp, "delay": p.delay, "bits": p.bits,
         "port": p.port,
         "weights": _pack(f"projection/{p.name}", type(p.weights).__name__, vars(p.weights), arrays)}
        for p in program.projections
    ]  # fmt: skip
    body = {"populations": populations, "projections": projections, "outputs": program.outputs}
    _write(path, "basalt-program", arrays, {**body, "meta": dict(program.meta)})


def load_program(path: Path) -> Program:
    """Read a program and check it; ArtifactError if the file is not one, LimitError if no chip holds it."""
    return _read(path, "basalt-program", _program)


def _pack(prefix: str, kind: str, fields: dict[str, Any], arrays: Arrays) -> dict[str, Any]:
    packed: dict[str, Any] = {"type": kind}
    for key, value in fields.items():
        if isinstance(value, np.ndarray):
            arrays[f"{prefix}/{key}"] = value
            packed[key] = {"array": f"{prefix}/{key}"}
        else:
            packed[key] = value
    return packed


def _unpack(packed: dict[str, Any], arrays: Arrays) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in packed.items():
        if key == "type":
            continue
        if isinstance(value, dict):
            value = arrays[value["array"]]
        fields[key] = tuple(value) if isinstance(value, list) else value
    return fields


def _node(name: str, packed: dict[str, Any], arrays: Arrays) -> Node:
    if packed["type"] not in NODES:
        raise ArtifactError(f"node type {packed['type']!r} is unknown; known: {', '.join(sorted(NODES))}")
    try:
        return NODES[packed["type"]](**_unpack(packed, arrays))
    except LimitError as error:
        raise LimitError(f"{name}: {error.node}", error.reason, error.remedy) from error


def _graph(body: dict[str, Any], arrays: Arrays) -> Graph:
    return check(
        Graph(
            nodes={n: _node(n, p, arrays) for n, p in dict(body["nodes"]).items()},
            edges=tuple((a, b) for a, b in body["edges"]),
            outputs=tuple(body["outputs"]),
            stage=body["stage"],
            dt_s=body["dt_s"],
            meta=body["meta"],
        )
    )


def _program(body: dict[str, Any], arrays: Arrays) -> Program:
    populations = {
        n: Population(n, tuple(p["shape"]), _node(n, p["model"], arrays), p["latency"])  # type: ignore[arg-type]
        for n, p in body["populations"].items()
    }
    projections = tuple(
        Projection(
            p["name"], p["src"], p["dst"],
            _WEIGHTS[p["weights"]["type"]](**_unpack(p["weights"], arrays)),
            p["exp"], p["delay"], p["bits"], p.get("port", "a"),
        )
        for p in body["projections"]
    )  # fmt: skip
    return Program(populations, projections, tuple(body["outputs"]), body["meta"])


def _write(path: Path, kind: str, arrays: Arrays, body: dict[str, Any]) -> None:
    # Keys stay in their order: populations and nodes come back as they were.
    text = json.dumps({"format": kind, "version": FORMAT_VERSION, **body})
    content = {"graph.json": np.frombuffer(text.encode(), np.uint8), **arrays}
    with whole(path) as draft, draft.open("wb") as file:
        np.savez_compressed(file, **content)


def _read(path: Path, kind: str, build: Callable[[dict[str, Any], Arrays], Any]) -> Any:
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        body = json.loads(arrays.pop("graph.json").tobytes())
        if body.get("format") != kind or body.get("version") not in READABLE:
            found = f"{body.get('format')!r} version {body.get('version')}"
            raise ArtifactError(f"{path}: is {found}, expected {kind!r} version {FORMAT_VERSION}")
        return build(body, arrays)
    except LimitError as error:
        raise LimitError(f"{path}: {error.node}", error.reason, error.remedy) from error
    except BasaltError as error:
        raise ArtifactError(str(error) if str(path) in str(error) else f"{path}: {error}") from error
    except _UNREADABLE as error:
        raise ArtifactError(f"{path}: not a readable {kind} ({error}); convert the model again") from error
