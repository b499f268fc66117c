"""What `energy-report` is asked for: its options, and all of them as one record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from deploy.target import TARGETS
from verbs.output import say

Command = Callable[..., Any]
_FILE = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True)
class Asked:
    """The command line of `energy-report`; fields are called as click calls them."""

    artifact: Path | None
    cost_table: str
    out: Path
    name: str | None
    form: str | None
    page_samples: int
    conventions: tuple[str, ...]
    switches: tuple[tuple[str, str], ...]
    allow_uncounted: bool
    host_table: str | None
    core_map: Path | None
    clip: int | None
    measure: bool
    power_log: Path | None
    factory: str | None
    source: str | None
    time_major: bool
    operand: str
    dataset: str | None
    data: Path | None
    split: str
    limit: int | None
    workers: int
    cluster: str | None
    threads: int | None
    json_path: Path | None

    @property
    def alone(self) -> bool:
        """No other process shares the machine, so that seconds mean something."""
        return self.workers == 1 and self.cluster is None


def report_options(command: Command) -> Command:
    """--cost-table, --out, --target, --form, --page-samples: what every report needs."""
    for option in (
        click.option(
            "--page-samples",
            type=click.IntRange(min=0),
            default=12,
            show_default=True,
            metavar="N",
            help="Samples whose spikes and skeleton the page shows; about 0.1 MB each.",
        ),
        click.option(
            "--form",
            type=click.Choice(["float", "integer"]),
            default=None,
            help="Which graph is counted. Default: float for onnx artifacts, integer for others.",
        ),
        click.option(
            "--target",
            "name",
            default=None,
            type=click.Choice(list(TARGETS)),
            help="Who produces the spikes. Default: onnx for onnx and pose artifacts, loihi-sim for others.",
        ),
        click.option(
            "--out",
            type=click.Path(path_type=Path, file_okay=False),
            required=True,
            metavar="DIR",
            help="Folder for report.html, samples.jsonl and .parquet (a line a sample), summary.json.",
        ),
        click.option(
            "--cost-table",
            required=True,
            metavar="NAME|FILE",
            help="Joules per operation: a table that `cost-tables` lists, or a TOML file of your own.",
        ),
    ):
        command = option(command)
    return command


def machine_options(command: Command) -> Command:
    """--host-table, --map, --measure, --power-log: the machine that the network is on."""
    for option in (
        click.option(
            "--power-log",
            type=_FILE,
            default=None,
            metavar="FILE",
            help="An analyser's CSV (time_s, power_w, phase run or idle) of a device at work on the samples.",
        ),
        click.option(
            "--measure",
            is_flag=True,
            help="Also measure this machine's joules (RAPL), two minutes or more; null with the reason if it "
            "cannot.",
        ),
        click.option(
            "--map",
            "core_map",
            type=_FILE,
            default=None,
            metavar="FILE",
            help="The JSON of `cli.py map`: messages and hops are priced by it.",
        ),
        click.option(
            "--host-table",
            default=None,
            metavar="NAME|FILE",
            help="Beside a chip's table: an arithmetic one for what no spiking chip does (values, the CPU's "
            "part).",
        ),
    ):
        command = option(command)
    return command


def told(out: Path, samples: int) -> None:
    """Say where the files of a report are."""
    files = f"{samples} sample{'s' * (samples != 1)} in {out / 'samples.jsonl'}"
    say(f"{out / 'report.html'}: open it in a browser; {files}")
