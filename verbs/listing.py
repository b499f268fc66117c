"""`datasets` and `targets`: what there is, and what of it works here."""

from __future__ import annotations

from pathlib import Path

import click

from verbs.options import json_option
from verbs.output import say, table, write_json


@click.command(short_help="List the data sets.")
@json_option
def datasets(json_path: Path | None) -> None:
    """List the data sets and how to point at them. Nothing is downloaded, ever."""
    from train.configuration import configuration, names
    from train.data.registry import describe
    from train.pose.data.registry import describe as describe_poses

    rows = [*describe(), *((n, f"poses: {what}", how) for n, what, how in describe_poses())]
    configs = [configuration(name) for name in names()]
    for name, what, how in rows:
        say(f"{name}\n    {what}\n    {how}")
        for found in (c for c in configs if c.dataset == name):
            say(f"    --config {found.name}: {found.what}")
    own = {n: [c.name for c in configs if c.dataset == n] for n, _, _ in rows}
    write_json(json_path, [{"name": n, "what": w, "how": h, "configs": own[n]} for n, w, h in rows])


@click.command(short_help="List the targets.")
@json_option
def targets(json_path: Path | None) -> None:
    """List the targets, what they promise, and whether this machine can run them."""
    from deploy.target import TARGETS, target

    rows = []
    for name in TARGETS:
        where = target(name)
        streams = "yes" if where.streams else "-"
        rows.append((name, where.what, "exact" if where.exact else "-", streams, where.available() or "yes"))
    say(table(("target", "what it is", "promise", "streams", "available"), rows))
    keys = ("name", "what", "promise", "streams", "available")
    write_json(json_path, [dict(zip(keys, row, strict=True)) for row in rows])
