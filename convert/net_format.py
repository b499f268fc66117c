"""The container of a `.net`: HDF5 groups `layer/0`, `layer/1`, ... with datasets and a `neuron` group each.

The one file that imports h5py. A layer is a nested dict: str, int64 and float32 arrays, and "neuron", itself
such a dict. As slayer writes it: `type` is an S10 array of one, `neuron/type` a variable-length string,
integers int64, weights and delays float32 that hold integers, no attributes. Source: lava-dl 0.6.0,
`lava/lib/dl/slayer/block/base.py` and `netx/utils.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from convert.ir import ArtifactError
from convert.ir.files import whole

Layer = dict[str, Any]
# Keys of a layer that say where its input comes from: the file is then no chain.
BRANCH = {"input", "inputs", "source", "sources", "from", "layers", "concat", "residual", "skip"}


def place(i: int, layer: Layer) -> str:
    """How messages name a layer: 'layer 3 (dense)'."""
    kind = layer.get("type", "no type")
    return f"layer {i} ({kind if isinstance(kind, str) else 'type is no text'})"


def one_line(said: object) -> str:
    """A message without line breaks, cut where a whole array got into it."""
    text = " ".join(str(said).split())
    return text if len(text) <= 240 else f"{text[:230]}..."


def write_layers(path: Path, layers: list[Layer]) -> None:
    """Write the file whole or not at all; the same layers give the same bytes."""
    with whole(path) as draft, h5py.File(draft, "w", libver=("earliest", "v110")) as file:
        for i, layer in enumerate(layers):
            group = file.create_group(f"layer/{i}")
            group.create_dataset("type", data=np.array([layer["type"]], "S10"), track_times=False)
            _write(group, {k: v for k, v in layer.items() if k != "type"})


def _write(group: h5py.Group, items: Layer) -> None:
    for name, value in items.items():
        if isinstance(value, dict):
            _write(group.create_group(name), value)
        elif isinstance(value, str):
            group.create_dataset(name, data=value, dtype=h5py.string_dtype(), track_times=False)
        else:
            group.create_dataset(name, data=value, track_times=False)


def read_groups(path: Path) -> tuple[Layer, Layer]:
    """(groups of `layer` by name, everything else in the file); ArtifactError if it is not such a file."""
    if path.is_dir():
        raise ArtifactError(f"{path}: is a folder, expected a .net file; an artifact's is its network.net")
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file; give a .net file that lava-dl exported")
    try:
        with h5py.File(path, "r") as file:
            content = _read(file)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise ArtifactError(
            f"{path}: not a readable .net file ({error}); export the network again"
        ) from error
    layers = content.pop("layer", None)
    if not isinstance(layers, dict) or not layers:
        raise ArtifactError(
            f"{path}: holds no group 'layer'; expected layer/0, layer/1, ...; export it again"
        )
    return layers, content


def read_layers(path: Path) -> tuple[list[Layer], Layer]:
    """(layers in order, everything else in the file); ArtifactError if it is not such a file."""
    layers, content = read_groups(path)
    if set(layers) != {str(i) for i in range(len(layers))} or not all(
        isinstance(v, dict) for v in layers.values()
    ):
        raise ArtifactError(
            f"{path}: layers {', '.join(sorted(layers))}; expected groups 0..{len(layers) - 1}"
        )
    return [layers[str(i)] for i in range(len(layers))], content


def _read(group: h5py.Group) -> Layer:
    return {
        name: _read(item) if isinstance(item, h5py.Group) else _value(item) for name, item in group.items()
    }


def _value(item: h5py.Dataset) -> Any:
    """An array, or str for text: a scalar or an array of one, as netx takes both."""
    value = item[()]
    if isinstance(value, np.ndarray) and value.dtype.kind in "SO" and value.size == 1:
        value = value.reshape(-1)[0]
    return value.decode("ascii", "replace") if isinstance(value, bytes) else np.asarray(value)
