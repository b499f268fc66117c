"""`convert`: a trained run to an artifact of kind onnx or lava."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np

from convert.artifact import SIGMA_DELTA, new_artifact
from convert.ir import BadInput, Graph, WindowNode, save_graph, save_program
from verbs.configuring import said
from verbs.covering import summary
from verbs.feed import Feed, load_feed, per_sample, scores, source
from verbs.float_only import write_float_only
from verbs.options import json_option, quantisation_options
from verbs.output import say, table, write_json
from verbs.traced import CALIBRATION, folded, quantised, traced
from verbs.tuned import tuned

SDNN = {"delta_threshold": "--delta-threshold", "delta_loss": "--delta-loss", "carry": "--no-carry"}
PARITY = 16  # training samples on which the float graph must give the torch model's scores


@click.command(short_help="Convert a trained run.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "kind",
    type=click.Choice(["onnx", "lava", SIGMA_DELTA]),
    required=True,
    help="onnx: step, scan and integer graphs. lava: program file, and .net where the net is a chain. "
    "sdnn: a pose network as a sigma-delta network.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="DIR",
    help="The artifact; one that is there is replaced.",
)
@click.option(
    "--form",
    type=click.Choice(["float", "int8"]),
    default=None,
    help="Poses: float32 or 8 bits (weights a scale a channel, ranges of training people). Default: float.",
)
@click.option(
    "--int8-loss",
    type=click.FloatRange(0, 100),
    default=None,
    metavar="P",
    help="--form int8: points of PCK that 8 bits may cost held-out people; beyond it nothing is written. "
    "Default: 2.",
)
@click.option(
    "--delta-threshold",
    default=None,
    metavar="F",
    help="sdnn: a change below F times the rms of its layer waits. auto (default): the largest of a few that "
    "costs training people, in motion, half a point of PCK at most.",
)
@click.option(
    "--delta-loss",
    type=click.FloatRange(0, 100),
    default=None,
    metavar="P",
    help="sdnn: points of PCK that --delta-threshold F may cost held-out people, still or in motion; beyond "
    "it nothing is written. Kept in the manifest. Default: 1.",
)
@click.option(
    "--carry/--no-carry",
    default=True,
    show_default=True,
    help="sdnn: neurons keep the bits that a message loses. --no-carry: they forget them, as Lava 0.10.0's.",
)
@quantisation_options
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=None,
    metavar="PATH",
    help="Where the training data lies (for calibration). Default: where the model was trained from.",
)
@json_option
@click.pass_context
def convert(
    ctx: click.Context, run: Path, kind: str, out: Path, form: str | None, int8_loss: float | None,
    delta_threshold: str | None, delta_loss: float | None, carry: bool, bits: int, input_bits: int,
    adjacency: str, data: Path | None, json_path: Path | None,
) -> None:  # fmt: skip
    """Trace, fold, quantise and lower the best checkpoint of RUN (a run folder or a .safetensors file).

    \b
    python cli.py convert runs/demo --to onnx --out out/demo/onnx
    python cli.py convert runs/demo --to lava --out out/demo/lava
    python cli.py convert runs/lspet --to onnx --form int8 --out out/lspet/int8
    python cli.py convert runs/people --to sdnn --out out/people-sdnn

    The float graph is checked against the torch model on real samples before anything is written. What a
    chip cannot hold (a map over the whole window, what is no spike) is left to the CPU behind it: the
    nodes, the reasons and the chip's share of the work are printed. What cannot be represented at all is
    refused with node, reason and remedy (exit 4). Of a network of real values (gcn-teacher, st-gcn,
    ctr-gcn) --to onnx writes the float forms alone and says why. A fine-tuned run (`train --qat`) is
    written as it was trained: its integer graph bit for bit, and the float graph of its parent.

    Of a pose network --to onnx writes images to joints, the decoder in the graph, float or 8 bits, checked
    against torch on held-out people; their PCK in both is printed, and bounds what 8 bits may cost. --to sdnn
    writes a sigma-delta network, of the backbones small and tiny: on video only changes travel.
    """
    from verbs.people_run import refuse_conversion
    from verbs.pose_run import is_pose

    if int8_loss is not None and form != "int8":
        raise click.UsageError("--int8-loss: belongs to --form int8; leave it out")
    refuse_conversion(run)
    if kind == SIGMA_DELTA:
        from verbs.pose_sdnn import Asked, convert_sdnn, threshold

        asked = Asked(threshold(delta_threshold), delta_loss, bits, input_bits, carry)
        return convert_sdnn(ctx, run, form, asked, out, data, json_path)
    _refuse_of_sdnn(ctx)
    if is_pose(run):
        from verbs.pose_convert import convert_pose

        return convert_pose(ctx, run, kind, form or "float", int8_loss, out, data, json_path)
    if form is not None:
        raise click.UsageError(f"--form {form}: {run} is no pose network; its artifact holds all forms")
    from energy.coverage import coverage

    begun = traced(run, "convert")
    about, own = begun.checkpoint.about, tuned(begun.checkpoint)
    if own is not None:
        bits, input_bits, adjacency = own.options(ctx)
    feed = load_feed(about, None, data, "train", CALIBRATION)
    whole = folded(begun.graph, adjacency)
    floating, split = whole.graph, whole.split
    if whole.refused is not None and kind != "onnx":
        raise whole.refused
    parity, rasters = _check_parity(floating, feed, begun.scores, bool(whole.pruned))
    covered = coverage(floating, split, rasters)
    told = _told(about, adjacency, whole.pruned)
    told |= {"parity_with_torch": parity, "coverage": covered.as_json()}
    if whole.refused is not None:
        write_float_only(out, floating, whole.refused, told, json_path)
        return
    if own is not None:
        integer, layers = own.graph(split.chip), own.layers
    else:
        integer, quantise = quantised(split.chip, feed, bits, input_bits)
        layers = [asdict(layer) for layer in quantise.report]
    manifest = {
        **told,
        "quantisation": {
            "bits": bits,
            "input_bits": input_bits,
            "calibration_samples": len(feed.samples),
            "layers": layers,
        },
        **({"fine_tuned": own.manifest()} if own is not None else {}),
    }
    with new_artifact(out, kind, manifest) as draft:
        save_graph(draft / "float.npz", floating)
        save_graph(draft / "integer.npz", integer)
        if split.host is not None:
            save_graph(draft / "host.npz", split.host)
        if kind == "onnx":
            notes = _write_onnx(draft, floating, integer, split.cut)
        else:
            notes = _write_lava(draft, integer, bits)
        files = sorted((f.name, f.stat().st_size) for f in draft.iterdir())
    write_json(json_path, {"artifact": str(out), **manifest, "notes": notes})
    _print(out, layers, files, notes, parity)
    if own is not None:
        _print_tuned(manifest["fine_tuned"])
    _print_pruned(whole.pruned)
    say(summary(manifest["coverage"]))


def _refuse_of_sdnn(ctx: click.Context) -> None:
    """Options of `--to sdnn` that mean nothing without it."""
    for name, option in SDNN.items():
        if said(ctx, name):
            raise click.UsageError(f"{option}: belongs to --to sdnn; leave it out")


def _told(about: Mapping[str, Any], adjacency: str, pruned: Any) -> dict[str, Any]:
    """What every manifest says of the checkpoint and the graph."""
    return {
        "source": source(about),
        "checkpoint": {"sha256": about["sha256"], "revision": about.get("revision")},
        "adjacency": {"form": adjacency, "pruned": [asdict(node) for node in pruned]},
    }


def _check_parity(
    graph: Graph, feed: Feed, torch_scores: Any, pruned: bool
) -> tuple[Mapping[str, Any], Mapping[str, np.ndarray]]:
    """Run both on the same samples: decisions must agree but where torch itself is undecided. A pruned graph
    is another model: how often it decides alike is recorded, not demanded. The figures, and the graph's
    rasters.

    float32 against float64 moves a membrane by about 1e-6; a neuron that close to its threshold may spike
    one step apart, which moves scores a little: hence decisions, not bits, and the distance is recorded.
    """
    from deploy.reference import Reference

    owners, x = next(feed.batches(PARITY))
    want = per_sample(torch_scores(x), owners)
    record = Reference().compile(graph).run(x, (*graph.sources(), *graph.spiking()))
    got = per_sample(scores(graph, record), owners)
    if not all(record.counts[n].any() for n in graph.spiking()):
        silent = next(n for n in graph.spiking() if not record.counts[n].any())
        click.echo(f"warning: {silent} never spikes on {len(got)} training samples", err=True)
    distance = float(np.abs(want - got).max())
    agree = float((want.argmax(1) == got.argmax(1)).mean())
    if agree < 0.9 and not pruned:
        raise BadInput(
            f"the traced graph decides like the torch model on only {agree:.0%} of {len(got)} samples "
            f"(largest score distance {distance:.3g}); please report the model"
        )
    parity = {"samples": len(got), "same_decision": agree, "max_score_distance": distance}
    return parity, record.rasters


def _write_onnx(draft: Path, floating: Graph, integer: Graph, cut: tuple[str, ...]) -> list[str]:
    """cut: populations whose every spike the CPU part reads."""
    from convert import to_onnx

    notes = []
    for prefix, graph in (("", floating), ("integer-", integer)):
        to_onnx.write(draft / f"{prefix}scan.onnx", to_onnx.scan_model(graph, cut))
        whole = [n for n, node in graph.nodes.items() if isinstance(node, WindowNode)]
        if whole:
            notes = [f"no {prefix}step.onnx: {whole[0]} needs the whole window", "scan.onnx holds the model"]
        else:
            to_onnx.write(draft / f"{prefix}step.onnx", to_onnx.step_model(graph))
    return notes


def _write_lava(draft: Path, integer: Graph, bits: int) -> list[str]:
    from convert.passes.lower import lower
    from convert.to_lava import chain_reasons, write_net

    program = lower(integer, bits)
    save_program(draft / "program.npz", program)
    reasons = chain_reasons(program)
    if not reasons:
        write_net(draft / "network.net", program)
        return []
    return [*(f"no .net: {reason}" for reason in reasons), "program.npz serves the Lava worker"]


def _print(out: Path, layers: list[Any], files: Any, notes: list[str], parity: Mapping[str, Any]) -> None:
    rows = [
        (
            r["neuron"],
            f"{r['scale']:.1f}",
            r["vth"],
            ",".join(map(str, r["exponents"])),
            f"{100 * r['weight_error']:.2f} %",
        )
        for r in layers
    ]
    say(table(("layer", "scale", "vth", "weight exps", "rms weight error"), rows, right=(1, 2, 4)))
    say(
        f"same decision as torch on {parity['same_decision']:.0%} of {parity['samples']} samples, "
        f"largest score distance {parity['max_score_distance']:.2g}"
    )
    for note in notes[:1]:
        more = f" (and {len(notes) - 2} more reasons, in --json)" if len(notes) > 2 else ""
        say(f"{note}{more}; {notes[-1]}")
    say(f"{out}: " + ", ".join(f"{name} {size / 1024:.0f} KiB" for name, size in files))


def _print_tuned(told: Mapping[str, Any]) -> None:
    say(
        f"integers as fine-tuned, epoch {told['epoch']} (weight errors are those before it), "
        f"of the float checkpoint {told['parent']['sha256'][:16]}"
    )


def _print_pruned(pruned: Any) -> None:
    if not pruned:
        return
    rows = [
        (
            p.node, f"{p.kept} of {p.entries}", f"{p.kept_pairs} of {p.pairs}", f"{p.largest_dropped:.3g}",
            f"{100 * p.weight_kept:.2f} %",
        )
        for p in pruned
    ]  # fmt: skip
    say(table(("pruned", "entries", "pairs of joints", "largest dropped", "of sum |A|"), rows, right=(3, 4)))
