"""Options that several verbs share, and a default of theirs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]
OF_PEOPLE, OF_VIDEO = 4, 16  # frames of a clip, where nobody says
VIDEO = "video"  # as a data set's name


def dataset_options(command: Command) -> Command:
    """--dataset, --data, --split, --limit: which samples a converted model runs on."""
    for option in (
        click.option(
            "--limit",
            type=click.IntRange(min=1),
            default=None,
            metavar="N",
            help="Only N samples, spread evenly over the split.",
        ),
        click.option(
            "--split",
            type=click.Choice(["train", "validation", "test", "all"]),
            default="test",
            show_default=True,
            help="Which part of the data set; validation: what training held out of train.",
        ),
        click.option(
            "--data",
            type=click.Path(path_type=Path),
            default=None,
            metavar="PATH",
            help="Where the data set lies. Default: where the model was trained from.",
        ),
        click.option(
            "--dataset",
            default=None,
            metavar="NAME",
            help="Data set (see `cli.py datasets`). Default: the one the model was trained on.",
        ),
    ):
        command = option(command)
    return command


def clip_option(command: Command) -> Command:
    """--clip T: how long a sample of a sigma-delta pose network is."""
    return click.option(
        "--clip",
        type=click.IntRange(min=1),
        default=None,
        metavar="T",
        help="Sigma-delta pose networks: frames of a sample, the first from rest. A person's picture moves "
        f"by a pixel a frame until the last; a video (--data FILE, or --dataset {VIDEO} --data DIR) is cut "
        f"into such samples. Default: {OF_PEOPLE} of people, {OF_VIDEO} of a video.",
    )(command)


def _adjacency(_: click.Context, __: click.Parameter, form: str) -> str:
    """The form as it was given: what is none is refused before any work."""
    from convert.passes.adjacency import parsed

    try:
        parsed(form)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return form


def quantisation_options(command: Command) -> Command:
    """--bits, --input-bits, --adjacency: how a float graph becomes integers."""
    for option in (
        click.option(
            "--adjacency",
            default="dense",
            callback=_adjacency,
            show_default=True,
            metavar="FORM",
            help="Learned adjacencies: dense, prune:EPS (drop entries below EPS of the largest) or factor "
            "(relays).",
        ),
        click.option(
            "--input-bits",
            type=click.IntRange(2, 16),
            default=8,
            show_default=True,
            help="Bits of a graded input value.",
        ),
        click.option(
            "--bits", type=click.IntRange(2, 8), default=8, show_default=True, help="Bits of a weight."
        ),
    ):
        command = option(command)
    return command


def json_option(command: Command) -> Command:
    """--json FILE."""
    return click.option(
        "--json",
        "json_path",
        type=click.Path(path_type=Path, dir_okay=False),
        default=None,
        metavar="FILE",
        help="Also write the result as JSON.",
    )(command)


def threads_option(command: Command) -> Command:
    """--threads N."""
    return click.option(
        "--threads",
        type=click.IntRange(min=1),
        default=None,
        metavar="N",
        help="Threads. Default: all cores.",
    )(command)


def workers_options(command: Command) -> Command:
    """--workers N, --cluster ADDRESS: which processes count; click refuses a cluster that is none."""
    for option in (
        click.option(
            "--cluster",
            default=None,
            callback=_cluster,
            metavar="ADDRESS",
            help="Count on a Dask cluster: tcp://host:8786, or local:N for one of N processes here.",
        ),
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            metavar="N",
            help="Processes on this machine that count, each with its share of the cores.",
        ),
    ):
        command = option(command)
    return command


def _cluster(ctx: click.Context, __: click.Parameter, address: str | None) -> str | None:
    kind, _, rest = (address or "").partition(":")
    if address is None or (kind in ("tcp", "tls") and rest.startswith("//")):
        return address
    if kind == "local" and rest.isdecimal() and int(rest) > 0:
        return address
    raise click.BadParameter(f"found {address!r}, expected tcp://HOST:PORT or local:N")


def cores() -> int:
    """Cores this process may use: containers and taskset give fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
