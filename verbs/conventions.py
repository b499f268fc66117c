"""Options of verbs that name joules: which conventions, which single switches, and what may be left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from energy.conventions import DEFAULT, NAMED, SWITCHES, Convention, check, convention

Command = Callable[..., Any]


def _switches(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """(switch, value) of each; what is none is refused before any work."""
    from convert.ir import BadInput

    found: dict[str, str] = {}
    for text in given:
        switch, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} is not SWITCH=VALUE; switches: {', '.join(SWITCHES)}")
        try:
            check(switch, value)
        except BadInput as error:
            raise click.BadParameter(str(error)) from error
        if switch in found:
            raise click.BadParameter(f"{switch} is set twice; name it once")
        found[switch] = value
    return tuple(found.items())


def convention_options(command: Command) -> Command:
    """--convention, --switch, --allow-uncounted; `chosen` makes conventions of the first two."""
    for option in (
        click.option(
            "--allow-uncounted",
            is_flag=True,
            help="Name joules though nodes are uncounted; every headline then says INCOMPLETE, and what is.",
        ),
        click.option(
            "--switch",
            "switches",
            multiple=True,
            callback=_switches,
            metavar="SWITCH=VALUE",
            help=f"Change one switch of the headline's convention. Switches: {', '.join(SWITCHES)}; values "
            "in docs/energy.md.",
        ),
        click.option(
            "--convention",
            "conventions",
            multiple=True,
            type=click.Choice(list(NAMED)),
            help="How operations are counted; repeat it to see several, the first is the headline. "
            f"Default: {', then '.join(c.name for c in DEFAULT)}.",
        ),
    ):
        command = option(command)
    return command


def chosen(
    names: tuple[str, ...],
    switches: tuple[tuple[str, str], ...],
    default: tuple[Convention, ...] = DEFAULT,
) -> tuple[Convention, ...]:
    """The conventions named, or the default ones, each once; the first with its switches set."""
    found = [convention(name) for name in dict.fromkeys(names)] or list(default)
    for switch, value in switches:
        found[0] = found[0].switched(switch, value)
    return tuple(found)
