"""`energy-report`: synaptic operations and energy of every sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from verbs.conventions import convention_options
from verbs.options import clip_option, dataset_options, json_option, threads_option, workers_options
from verbs.report_options import Asked, machine_options, report_options
from verbs.torch_counting import checked, torch_options


@click.command(short_help="Operations and energy of every sample.")
@click.argument("artifact", type=click.Path(path_type=Path), required=False)
@report_options
@convention_options
@machine_options
@torch_options
@clip_option
@dataset_options
@workers_options
@threads_option
@json_option
def energy_report(**given: Any) -> None:
    """Count the operations that really happened, per sample and layer, and price them.

    Counts are facts: spikes times fan-out, borders and zero weights included, 64-bit integers. Joules are a
    model: the exact count and Spikformer's convention stand side by side (or those you name), priced by the
    table you name, with the spread over every single switch. What could not be counted is listed, and then no
    joules are printed. report.html opens in any browser, without a network.

    Of a pose network in ONNX a sample is one image, float or 8 bits as it was converted. Of a sigma-delta one
    it is a clip, a step a frame: synapses that changes passed, by layer and frame, in the convention exact.
    The decoder, maps to joints, is outside the count of both.

    \b
    python cli.py energy-report out/demo/lava --split test --cost-table horowitz45-fp32 --out out/energy
    python cli.py energy-report out/people-int8 --limit 100 --cost-table horowitz45-int8 --out out/people
    python cli.py energy-report --torch train.models.spikformer:spikformer_4_384 --time-major \\
        --input 4x3x32x32 --cost-table horowitz45-fp32 --out out/spikformer
    """
    asked = Asked(**given)
    checked(asked.artifact, asked.factory, asked.source)
    if asked.artifact is None:
        from verbs.torch_counting import report_torch

        report_torch(asked)
    else:
        from verbs.artifact_report import report_artifact

        report_artifact(asked.artifact, asked)
