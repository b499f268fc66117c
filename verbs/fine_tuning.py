"""`train --qat`: the integer graph of a run, fine-tuned. Graphs in, plain values to train, a run out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convert.ir import BadInput, Graph, packed
from verbs.configuring import refuse_settled
from verbs.feed import feed_of, load_clips, options_at
from verbs.options import cores
from verbs.settings import fitted, pair
from verbs.traced import CALIBRATION, folded, quantised, traced

if TYPE_CHECKING:
    from convert.passes.partition import Split
    from convert.passes.quantise import Quantise
    from train.epochs import Result
    from train.processes import Processes
    from train.qat.description import Description

PARENTS = (  # what a fine-tuned run has from its parent, or cannot have
    "model", "config_name", "dataset", "stream", "frames", "backend", "surrogate", "variant",
    "validation_subjects", "data_options", "device", "amp", "init", "refit",
)  # fmt: skip
WHY = {"device": "the CPU, whose integers are exact", "amp": "none: 16 bits do not hold the sums"}
HELD = ("amp", "model", "model_settings", "refit", "seed", "threads", "tfsm", "until", "validation",
        "validation_subjects", "validation_fraction")  # fmt: skip


def refuse_without(ctx: click.Context) -> None:
    """Options of `train` that mean nothing without --qat."""
    for name in ("bits", "input_bits", "adjacency"):
        if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            option = name.replace("_", "-")
            raise click.UsageError(f"--{option}: only with --qat; `convert` quantises a run")


def fine_tune(ctx: click.Context, given: Mapping[str, Any], group: Processes) -> Result:
    """The run of a `train --qat RUN`, from the options of `train`: what every process does."""
    from train.qat import fine_tune as tuning

    refuse_settled(ctx, "--qat", PARENTS, WHY)
    source = traced(given["qat"], "fine-tune")
    about = source.checkpoint.about
    if "qat" in about:
        raise BadInput(
            f"{given['qat']}: is fine-tuned already; fine-tune the run it was made from, with more --epochs"
        )
    config, distil = _config(ctx, given, source.checkpoint)
    whole = folded(source.graph, given["adjacency"])
    if whole.refused is not None:
        raise whole.refused
    clips = load_clips(about, None, given["data"], "train")
    feed = feed_of(clips, about, CALIBRATION)
    integer, quantise = quantised(whole.split.chip, feed, given["bits"], given["input_bits"])
    about["dataset"] = {**about["dataset"], "options": options_at(about, given["data"])}
    return tuning.fine_tune(
        source.checkpoint,
        source.model,
        description(integer, quantise),
        tuning.Choice(given["bits"], given["input_bits"], given["adjacency"], distil),
        config,
        clips,
        Path(given["out"]),
        host=_reader(whole.split),
        layers=[dataclasses.asdict(layer) for layer in quantise.report],
        resume=given["resume"],
        group=group,
    )


def description(integer: Graph, quantise: Quantise) -> Description:
    """An integer graph and what its integers were rounded from, in the plain values that training takes."""
    from convert.ir.loihi import STATE_SHIFT
    from train.qat.description import Description, Masters

    body, arrays = packed(integer)
    masters = {name: Masters(m.value, m.step) for name, m in quantise.masters.items()}
    units = {layer.neuron: 1.0 / (layer.scale * (1 << STATE_SHIFT)) for layer in quantise.report}
    return Description(body, arrays, dict(integer.shapes), masters, units, quantise.bits)


def _reader(split: Split) -> Description | None:
    """The CPU part, where it gives the model's scores."""
    host = split.host
    return None if host is None or split.outputs[0] not in host.outputs else plain(host)


def plain(graph: Graph) -> Description:
    """A graph in plain values, nothing of which is trained."""
    from train.qat.description import Description

    return Description(*packed(graph), dict(graph.shapes))


def _config(ctx: click.Context, given: Mapping[str, Any], parent: Any) -> tuple[Any, float]:
    """The training config of the fine-tuning, and the weight of the parent's scores."""
    from train.checkpoint import CheckpointError
    from train.config import TrainConfig
    from train.qat.fine_tune import Choice, settings

    defaults = {f.name: f.default for f in dataclasses.fields(TrainConfig) if f.name not in HELD}
    values: dict[str, Any] = {}
    for item in given["settings"]:
        key, value = pair(item)
        if key != "distil" and key not in defaults:
            names = ", ".join(sorted({*defaults, "distil"}))
            raise click.UsageError(f"--set {key}: no such field with --qat; known: {names}")
        values[key] = fitted(key, value, defaults.get(key, Choice().distil))
    distil = values.pop("distil", Choice().distil)
    if distil < 0:
        raise click.UsageError(f"--set distil={distil}: expected 0 or more")
    values |= {k: given[k] for k in ("epochs", "batch", "lr") if given[k] is not None}
    if ctx.get_parameter_source("seed") is not click.core.ParameterSource.DEFAULT:
        values["seed"] = given["seed"]
    values["threads"] = given["threads"] or cores()
    try:
        return settings(parent, values), distil
    except CheckpointError:
        raise
    except (ValueError, TypeError) as error:
        raise click.UsageError(str(error)) from error
