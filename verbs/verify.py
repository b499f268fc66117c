"""`verify`: the same spikes on every target, proven on real samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from click.core import ParameterSource

from convert.ir import LoihiSigma, Unsupported
from deploy.target import TARGETS
from verbs.options import clip_option, dataset_options, json_option
from verbs.output import bar, say, table, write_json


class VerificationFailed(Exception):
    """A target that promises the reference's spikes gave others."""

    exit_code = 5


@click.command(short_help="Prove that targets agree spike for spike.")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option(
    "--targets",
    default=",".join(TARGETS),
    show_default=True,
    metavar="A,B,...",
    help="Targets to compare with the integer reference.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="Samples, spread evenly over the split; a --limit below it goes first.",
)
@clip_option
@dataset_options
@json_option
def verify(
    artifact: Path,
    targets: str,
    samples: int,
    clip: int | None,
    dataset: str | None,
    data: Path | None,
    split: str,
    limit: int | None,
    json_path: Path | None,
) -> None:
    """Compare every population of every target with the integer reference at every step.

    Neurons that only a program has (relays, coincidences) are seen through the layers they feed.
    A target that is not installed here is named and left out; so is one that cannot hold the model, unless
    --targets asks for it. The float graph is compared too: where it
    first parts from the integers (layer, step, neuron, both values) is reported. Exit 5 if a target that
    promises exactness differs.

    Of a sigma-delta pose network every message and every sum is compared at every frame, and what the
    messages add up to without a threshold with the dense integer network of the same weights; its float
    network has no messages, so that the distance of its joints is told instead.

    \b
    python cli.py verify out/demo/lava --targets reference,onnx,loihi-sim,lava --samples 16
    python cli.py verify out/people-sdnn --samples 8 --clip 4
    """
    from convert.artifact import open_artifact
    from verbs.pose_feed import PoseFeed, open_feed

    names = _names(targets)
    opened = open_artifact(artifact)
    feed = open_feed(opened, dataset, data, split, min(samples, limit or samples), clip)
    named = click.get_current_context().get_parameter_source("targets") != ParameterSource.DEFAULT
    size = feed.size if isinstance(feed, PoseFeed) else len(feed.samples)  # Lava starts once
    parts = [_part(opened, names, named, owners, x) for owners, x in feed.batches(size)]
    comparisons, found = _whole(opened, parts)
    absent = parts[0].absent
    write_json(
        json_path,
        {
            "artifact": str(artifact),
            "fingerprint": opened.fingerprint,
            "n_samples": len(feed.samples),
            "sample_ids": list(feed.samples.ids),
            "n_steps": parts[0].steps,
            "targets": {c.target: c.as_json() for c in comparisons},
            "not_available": absent,
            **found,
            "passed": all(c.passed for c in comparisons),
        },
    )
    _print(comparisons, absent, found["float_membranes"], len(feed.samples))
    if "joints" in found:
        from verbs.pose_verify import say_apart

        say_apart(found["joints"], opened.about["quantisation"]["threshold"])
    if opened.host() is not None:
        say("readouts: the CPU part's, from each target's own spikes, equal to 1e-9 of the largest value")
    failed = [c.target for c in comparisons if not c.passed]
    if failed:
        raise VerificationFailed(f"{', '.join(failed)}: not the spikes of the integer reference")


@dataclass(frozen=True, eq=False)
class _Part:
    """Some samples, compared. absent: targets left out, with the reason; beside: what `--json` says more."""

    steps: int
    comparisons: list[Any]
    absent: dict[str, str]
    beside: dict[str, Any]


def _part(opened: Any, names: list[str], named: bool, owners: np.ndarray, x: np.ndarray) -> _Part:
    results, absent = _run(opened, names, x, named)
    beside, found = _beside(opened, x, results["want"])
    comparisons = [_of_sample(c, owners) for c in (*results["comparisons"], beside)]
    return _Part(len(x), comparisons, absent, found)


def _whole(opened: Any, parts: list[_Part]) -> tuple[list[Any], dict[str, Any]]:
    """Comparisons of all samples, and what `--json` says more."""
    from deploy.verify import together

    if "joints" not in parts[0].beside:
        (part,) = parts
        return part.comparisons, part.beside
    from verbs.pose_convert import spread

    order = list(opened.graph("integer").nodes)
    comparisons = [together(same, order) for same in zip(*(p.comparisons for p in parts), strict=True)]
    joints = {
        name: spread(np.concatenate([p.beside["joints"][name] for p in parts], axis=1))
        for name in parts[0].beside["joints"]
    }
    return comparisons, {**parts[0].beside, "joints": joints}


def _beside(opened: Any, x: np.ndarray, want: Any) -> tuple[Any, dict[str, Any]]:
    """The comparison that no target makes, and what else `--json` says of it: spikes of the float graph; of a
    sigma-delta network, which has none in floats, its dense integers, and how far joints lie apart."""
    from convert.artifact import SIGMA_DELTA
    from deploy.verify import float_divergence

    if opened.kind != SIGMA_DELTA:
        floating, membranes = float_divergence(opened.graph("integer"), opened.graph("float"), x, want)
        return floating, {"float_membranes": membranes}
    from verbs.pose_verify import dense_comparison, joints_apart

    comparison, dense = dense_comparison(opened, x)
    sums = {name: want.rasters[name] for name in dense}
    return comparison, {"float_membranes": {}, "joints": joints_apart(opened, x, sums, dense)}


def _names(targets: str) -> list[str]:
    """The targets asked for, each once; a name that is none is an error of the command line."""
    names = list(dict.fromkeys(n.strip() for n in targets.split(",") if n.strip()))
    unknown = [n for n in names if n not in TARGETS]
    if unknown or not names:
        found = f"unknown target {', '.join(unknown)}" if unknown else "no target is named"
        raise click.UsageError(f"--targets: {found}; known: {', '.join(TARGETS)}")
    return names


def _of_sample(comparison: Any, owners: np.ndarray) -> Any:
    """The comparison with the sample of its first divergence, which was found in a row: one person of it."""
    if comparison.first is None:
        return comparison
    first = replace(comparison.first, sample=int(owners[comparison.first.sample]))
    return replace(comparison, first=first)


def _run(opened: Any, names: list[str], x: np.ndarray, named: bool) -> tuple[dict[str, Any], dict[str, str]]:
    """The reference's record and a comparison per target; targets that are left out, with the reason."""
    from deploy.verify import compare, compare_counts
    from verbs.running import load, watch

    reference = load(opened, "reference", "integer")
    order = (*reference.graph.spiking(), *_sums(reference.graph))
    want = reference.runner.run(x, order)
    comparisons, absent = [], {}
    for name in names:
        if why := _left_out(opened, name, named):
            absent[name] = why
        else:
            loaded = load(opened, name, "integer")
            try:
                with bar(x.shape[1], name) as samples:
                    watch(loaded.runner, samples)
                    got = loaded.runner.run(x, order)
                    comparisons.append(compare(name, loaded.target.exact, order, want, got))
                    if name == "onnx" and "integer-scan.onnx" in opened.about["files"]:
                        # Rasters come from a model written anew; the file itself gives counts and readouts.
                        comparisons.append(compare_counts("onnx file", want, loaded.runner.run(x)))
            finally:
                loaded.runner.close()
    if not comparisons:
        raise Unsupported("verify", "; ".join(absent.values()), "name a target that runs here")
    return {"want": want, "comparisons": comparisons}, absent


def _sums(graph: Any) -> list[str]:
    """Readouts that are seen at every step: sums of changes."""
    return [name for name in graph.outputs if isinstance(graph.nodes[name], LoihiSigma)]


def _left_out(opened: Any, name: str, named: bool) -> str | None:
    """Why a target is not compared; None if it is."""
    from deploy.target import target, told

    where = target(name)
    if (why := where.available()) or named:
        return why
    model = opened.program() if "program" in where.takes else opened.graph("integer")
    return told(where.supports(model)) or None


def _print(comparisons: list[Any], absent: dict[str, str], membranes: dict[str, Any], samples: int) -> None:
    rows = [
        (
            c.target,
            "yes" if c.exact else "no",
            c.populations,
            c.spikes,
            c.mismatching,
            f"{c.values - c.values_off}/{c.values}",
            "ok" if c.passed and c.exact else "FAILED" if c.exact else "-",
        )
        for c in comparisons
    ]
    head = (
        "target",
        "promises exact",
        "populations",
        "spikes compared",
        "mismatching",
        "readouts equal",
        "result",
    )
    say(table(head, rows, right=(2, 3, 4, 5)))
    say(
        f"{samples} samples; {sum(c.spikes for c in comparisons if c.exact)} spikes compared on exact targets"
    )
    if silent := comparisons[0].silent:
        say(f"no spike of {', '.join(silent)} in these samples: little is proven there, take others or more")
    for c in comparisons:
        if c.first is not None:
            say(f"{c.target}: first divergence at {c.first}")
    if membranes:
        say(
            "  membranes there, before reset: float {float_membrane:.5f}, integer {integer_membrane:.5f}, "
            "threshold {threshold:g}".format(**membranes)
        )
    for name, why in absent.items():
        say(f"{name}: not compared, {why}")
