"""The options of tracks that several verbs share; defaults are `deploy.pose.tracking`'s own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from deploy.pose.tracking import Rules

Command = Callable[..., Any]
RULES = Rules()


def tracking_options(command: Command) -> Command:
    """--min-hits, --birth, --joint-threshold: who gets a track, and of which joints."""
    for option in (
        click.option("--joint-threshold", type=click.FloatRange(0, 1), default=RULES.joint_threshold,
                     show_default=True, metavar="S",
                     help="Joints that score below are dropped, from the output too."),
        click.option("--birth", type=click.FloatRange(0, 1), default=RULES.birth, show_default=True,
                     metavar="S", help="Score of a person who begins a track."),
        click.option("--min-hits", type=click.IntRange(min=1), default=RULES.min_hits, show_default=True,
                     metavar="N", help="Poses a track needs, or it is taken out."),
    ):  # fmt: skip
        command = option(command)
    return command
