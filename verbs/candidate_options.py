"""The options by which candidate boxes are chosen; defaults are rules of `deploy.pose.greedy`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from deploy.pose.greedy import Rule
from deploy.pose.nms import ALIKE

Command = Callable[..., Any]
OPEN = ("score_threshold", "nms_iou")  # whose defaults may be a detector's

nms_oks_option = click.option(
    "--nms-oks", type=click.FloatRange(0, 1), default=ALIKE, show_default=True, metavar="OKS",
    help="Poses in boxes: of those more alike than this the better one stays.",
)  # fmt: skip


def candidate_options(
    rule: Rule, most: int | None = None, of_run: Rule | None = None
) -> Callable[[Command], Command]:
    """--score-threshold, --nms-iou, --cap: what of the rule a verb lets choose.

    most: of --cap. of_run: the rule of boxes that a run finds, where the verb takes those too: then the first
    two are None unless they are given, and `settled` says what they are.
    """

    def shown(name: str) -> dict[str, Any]:
        own = getattr(rule, name)
        if of_run is None:
            return {"default": own, "show_default": True}
        return {"default": None, "show_default": f"{own}; of a run {getattr(of_run, name)}"}

    def add(command: Command) -> Command:
        for option in (
            click.option("--cap", type=click.IntRange(1, most), default=rule.cap, show_default=True,
                         metavar="N", help="Boxes: at most N an image."),
            click.option("--nms-iou", type=click.FloatRange(0, 1), metavar="IOU", **shown("nms_iou"),
                         help="Boxes: leave out those that overlap a better one by more."),
            click.option("--score-threshold", type=click.FloatRange(0, 1), metavar="S",
                         **shown("score_threshold"), help="Boxes: leave out those that score below."),
        ):  # fmt: skip
            command = option(command)
        return command

    return add


def settled(given: Mapping[str, Any], rule: Rule) -> dict[str, Any]:
    """The options as given, those left open by `rule`."""
    return {**given, **{name: getattr(rule, name) for name in OPEN if given[name] is None}}
