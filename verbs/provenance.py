"""Where a report's figures come from: model, data, tool and versions."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from convert.artifact import Artifact
from convert.ir import Graph
from train.data.samples import Samples
from train.data.supply import Supply
from train.revision import revision
from verbs.feed import Feed
from verbs.pose_feed import PoseFeed, PoseSamples
from verbs.running import Loaded

PART = 32  # samples
LIBRARIES = ("numpy", "onnxruntime", "numba", "torch", "norse", "spikingjelly")


def provenance(opened: Artifact, loaded: Loaded, feed: Feed | PoseFeed) -> dict[str, Any]:
    """What ran on what, fingerprints and versions; null for what is not installed or not known."""
    about = opened.about
    return {
        "model": about["source"]["model"],
        "target": loaded.target.name,
        "form": loaded.form,
        "class_names": list(feed.class_names),
        "n_samples": len(feed.samples),
        "fingerprint": opened.fingerprint,
        "checkpoint": about.get("checkpoint"),
        "quantisation": _bits(about.get("quantisation")),
        "parameters": parameters(opened.graph("float")),
        "recipe": about["source"]["recipe"],
        "data_sha256": digest(feed.samples),
        "tool": {"name": "basalt", "revision": revision()},
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}},
        "machine": {"system": platform.system(), "processor": platform.machine()},
    }


def parameters(graph: Graph) -> int:
    """Numbers that a graph holds: weights, biases, constants of its neurons."""
    return sum(
        value.size for _, node, _ in graph for value in vars(node).values() if isinstance(value, np.ndarray)
    )


def digest(samples: Samples | Supply | PoseSamples) -> str:
    """sha256 of ids, labels and values of the samples that ran, in order; a part of them in memory."""
    sealed = hashlib.sha256("\n".join(samples.ids).encode())
    sealed.update(np.ascontiguousarray(samples.labels).tobytes())
    for start in range(0, len(samples), PART):
        for x in samples.part(start, PART).x:
            sealed.update(np.ascontiguousarray(x).tobytes())
    return sealed.hexdigest()


def _bits(quantisation: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return quantisation and {
        key: value for key, value in quantisation.items() if isinstance(value, int | float | str)
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
