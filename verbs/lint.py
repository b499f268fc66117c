"""`lint`: what netx would ignore, truncate, clip or get wrong in a `.net` file, and the fix."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from verbs.options import json_option
from verbs.output import say, write_json


@click.command(short_help="Check a .net file for what netx gets wrong.")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def lint(file: Path, json_path: Path | None) -> None:
    """Report everything that Lava's netx ignores, truncates, clips or gets wrong in FILE, and how to mend it.

    \b
    python cli.py lint network.net
    python cli.py lint network.net --json findings.json

    Needs neither Lava nor torch. A finding has a severity: 'error', netx fails or computes something else
    than slayer trained; 'warning', netx ignores it, or errs under a condition that is said; 'note', worth
    knowing.
    The last line says whether Basalt itself reads the file: in slayer's meaning, where netx's differs.
    docs/net.md explains each block.

    \b
    Exit codes: 0 no error (warnings and notes may be there), 3 no or a broken file, 4 an error was found, or
    Basalt does not read the file.
    """
    from convert.ir import Unsupported
    from convert.net_finding import SEVERITIES
    from convert.net_lint import lint as findings_of
    from convert.net_lint import refused

    findings = findings_of(file)
    basalt = _read(file)
    for f in findings:
        say(f"{f.severity}: {f.place}: {f.found}\n    netx {f.netx}\n    fix: {f.fix}")
    counts = {s: sum(f.severity == s for f in findings) for s in SEVERITIES}
    say(f"{file}: " + ", ".join(f"{n} {s}{'' if n == 1 else 's'}" for s, n in counts.items()))
    say(f"basalt: {basalt['says']}")
    write_json(json_path, {
        "file": str(file), "counts": counts, "basalt": basalt, "findings": [asdict(f) for f in findings],
    })  # fmt: skip
    if refused(findings):
        raise Unsupported(
            file.name, f"netx would get {counts['error']} of these wrong", "see each finding's fix"
        )
    if not basalt["reads"]:
        raise Unsupported(file.name, f"Basalt {basalt['says']}", "see docs/net.md")


def _read(file: Path) -> dict[str, Any]:
    """Whether our own reader takes the file, and what it says."""
    from convert.ir import BasaltError
    from convert.net_reader import read_net

    try:
        program = read_net(file)
    except BasaltError as error:
        return {"reads": False, "says": f"refuses it: {error}"}
    neurons = sum(program.populations[n].size for n in program.neurons())
    about = f"reads it: {len(program.neurons())} populations, {neurons} neurons"
    if program.meta["net.phase"] == "raw":
        about += "; every layer begins at step 0, as in training, since a bias is there"
    return {"reads": True, "says": about}
