"""The options by which candidate boxes are chosen; defaults are a rule's of `deploy.pose.greedy`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from deploy.pose.greedy import Rule

Command = Callable[..., Any]


def candidate_options(rule: Rule, most: int | None = None) -> Callable[[Command], Command]:
    """--score-threshold, --nms-iou, --cap: what of the rule a verb lets choose; most: of --cap."""

    def add(command: Command) -> Command:
        for option in (
            click.option("--cap", type=click.IntRange(1, most), default=rule.cap, show_default=True,
                         metavar="N", help="Boxes: at most N an image."),
            click.option("--nms-iou", type=click.FloatRange(0, 1), default=rule.nms_iou, show_default=True,
                         metavar="IOU", help="Boxes: leave out those that overlap a better one by more."),
            click.option("--score-threshold", type=click.FloatRange(0, 1), default=rule.score_threshold,
                         show_default=True, metavar="S", help="Boxes: leave out those that score below."),
        ):  # fmt: skip
            command = option(command)
        return command

    return add
