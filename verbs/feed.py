"""From data set to a model's input and back: clips, samples, persons, scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convert.ir import BadInput, Graph, Neuron, steps
from deploy.record import Record
from train.data import registry
from train.data.clip import ClipSet
from train.data.recipe import Recipe
from train.data.samples import Samples, fold
from train.data.split import held_again, request
from train.data.supply import Supply
from train.skeletons import layout

BEGUN_BY = ("refit", "init")
"""What a run says of the runs before it: whose settings it has, and whose weights it began with."""


@dataclass(frozen=True, eq=False)
class Feed:
    """Samples of a split and how they become rows of a batch: one row a person who is there.

    A sample without anybody keeps its first, empty, person, so that every sample has scores.
    """

    samples: Samples | Supply
    class_names: tuple[str, ...]

    def batches(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(indices of the samples rows belong to, x float32 [T, rows, *shape]), `size` samples a time."""
        for start in range(0, len(self.samples), size):
            yield self.batch(start, size)

    def batch(self, start: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """The same of the samples from `start` on alone."""
        part = self.samples.part(start, size)
        here = part.present.copy()
        here[~here.any(axis=1), 0] = True
        sample, person = np.nonzero(here)
        rows = part.x[sample, person]  # [rows, F, C, V]
        return start + sample, fold(rows[:, None], part.repeat)

    def held(self) -> Feed:
        """The same, prepared now and kept: for who goes over all samples again and again."""
        return replace(self, samples=self.samples.prepared())


def source(about: Mapping[str, Any]) -> dict[str, Any]:
    """What a converted model keeps of its checkpoint's description: all that feeding it again takes.

    A checkpoint from before the held-out clips were recorded has at least the settings that chose them.
    """
    kept = {key: about[key] for key in ("model", "model_config", "dataset", "recipe", "classes", "epoch")}
    kept |= {key: about[key] for key in BEGUN_BY if about.get(key)}
    if "validation" in about:
        kept["validation"] = about["validation"]
    elif isinstance(config := about.get("train_config"), Mapping):
        fields = ("validation", "validation_subjects", "validation_fraction")
        if all(field in config for field in fields):
            kept["validation"] = request(*(config[field] for field in fields))
    return kept


def options_at(about: Mapping[str, Any], data: Path | None) -> dict[str, Any]:
    """The options of the data set a model was trained on, which lies at `data` now (None: where it was)."""
    kept = dict(about["dataset"].get("options", {}))
    return kept if data is None else {**kept, "path": str(data.resolve())}


def load_feed(
    about: Mapping[str, Any], dataset: str | None, data: Path | None, split: str, limit: int | None
) -> Feed:
    """The samples a checkpoint or artifact is to run on; `about` names the defaults and the recipe."""
    return feed_of(load_clips(about, dataset, data, split, listed=True), about, limit)


def feed_of(clips: ClipSet, about: Mapping[str, Any], limit: int | None = None) -> Feed:
    """Clips as the model takes them, prepared as they are asked for.

    BadInput if their joints or classes are not the model's.
    """
    known = about["dataset"]
    if clips.layout != known["layout"]:
        raise BadInput(f"{clips.name}: joints of layout {clips.layout}, the model takes {known['layout']}")
    if list(clips.class_names) != list(about["classes"]):
        raise BadInput(
            f"{clips.name}: its {len(clips.class_names)} classes are not the model's "
            f"{len(about['classes'])} classes"
        )
    samples = Supply(clips.clips, Recipe.from_dict(about["recipe"]), layout(clips.layout))
    return Feed(samples if limit is None else samples.spread(limit), tuple(clips.class_names))


def load_clips(
    about: Mapping[str, Any], dataset: str | None, data: Path | None, split: str, *, listed: bool = False
) -> ClipSet:
    """The clips of a data set, by default the one the model was trained on, from where it was.

    split "validation": the training clips that training held out to choose its epoch.
    listed: joints are read when they are asked for (`registry.listed`), for who goes over the clips once.
    """
    if "codec" in about:
        raise BadInput(
            f"{about['model']} on {about['dataset']['name']}: is a pose network, which has no classes; "
            "`cli.py evaluate` takes it"
        )
    name, where, options = data_set(about, dataset, data, split)
    load = registry.listed if listed else registry.load
    clips = load(name, where, "train" if split == "validation" else split, **options)
    return held_out(clips, about) if split == "validation" else clips


def data_set(
    about: Mapping[str, Any], dataset: str | None, data: Path | None, split: str
) -> tuple[str, Path | None, dict[str, Any]]:
    """(name, folder, options) of the data set asked for, by default the one the model was trained on, from
    where it was. BadInput where what training held out is asked of another one."""
    known = about["dataset"]
    name = dataset or known["name"]
    same = name == known["name"]
    if split == "validation" and not same:
        raise BadInput(
            f"{name}: found --split validation, which is held out of what the model was trained on, "
            f"{known['name']}; leave --dataset out or take another split"
        )
    options = dict(known.get("options", {})) if same else {}
    path = options.pop("path", None)
    return name, data or (Path(path) if path else None), options


def held_out(clips: ClipSet, about: Mapping[str, Any]) -> ClipSet:
    """Of a training split, the clips that training held out; BadInput where `about` does not say how."""
    if not isinstance(about.get("validation"), Mapping):
        raise BadInput(
            "the model does not say which clips its training held out for validation: it was converted (or "
            "trained) by an older Basalt; convert the run again"
        )
    if not (held := held_again(clips, about["validation"]).validation):
        raise BadInput(
            "the model was trained on all training clips and held out none for validation; take the run that "
            "chose its settings, which held some out"
        )
    return replace(clips, clips=held)


def reduced(graph: Graph, out: np.ndarray) -> np.ndarray:
    """A torch model's output as class scores per row: spikes summed, the last value of a whole sequence."""
    name = graph.outputs[0]
    node = graph.nodes[name]
    if isinstance(node, Neuron) and node.spiking:
        out = out.sum(axis=0)
    elif not isinstance(node, Neuron) or graph.meta.get(f"read.{name}") == "all":
        out = out[-1]
    return out.reshape(len(out), -1)


def scores(graph: Graph, record: Record) -> np.ndarray:
    """Class scores per row, float64 [rows, classes], in the units of the trained model.

    graph: the part of the model whose first output is the model's.
    """
    name = graph.outputs[0]
    out = record.outputs[name].astype(np.float64).reshape(record.samples, -1)
    out = out * getattr(graph.nodes[name], "unit", 1.0)
    return out / steps(graph, record.steps)[name] if graph.meta.get(f"read.{name}") == "mean" else out


def per_sample(rows: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Mean of the rows of each sample, in the order of the samples: rows [R, K], owners [R] ascending."""
    _, first, count = np.unique(owners, return_index=True, return_counts=True)
    return np.add.reduceat(rows, first, axis=0) / count[:, None]
