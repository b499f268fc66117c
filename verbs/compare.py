"""`compare`: several energy reports, or a peer's numbers, side by side."""

from __future__ import annotations

from pathlib import Path

import click

from verbs.options import json_option
from verbs.output import say, table, write_json


@click.command(short_help="Several energy reports in one table and page.")
@click.argument(
    "reports", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="A B..."
)
@click.option(
    "--convention",
    default=None,
    metavar="NAME",
    help="Whose ratios lead. Default: the first that all reports share.",
)
@click.option(
    "--mixed",
    is_flag=True,
    help="Compare though cost tables or options of counting differ; the result says so.",
)
@click.option(
    "--html",
    "html",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="FILE",
    help="Also write one self-contained page.",
)
@json_option
def compare(
    reports: tuple[Path, ...], convention: str | None, mixed: bool, html: Path | None, json_path: Path | None
) -> None:
    """Set folders of `energy-report` side by side; ratios are to the first.

    Energies are compared in conventions that all share, by one cost table, counted with the same options;
    anything else is refused (exit 3) or, with --mixed, said. A report may also be a peer's published numbers:
    a small JSON file, described in docs/energy-report.md.

    \b
    python cli.py compare out/teacher out/student
    python cli.py compare out/float out/int8 peers/spikformer.json --html out/compare.html --json out/c.json
    """
    from convert.ir.files import whole
    from energy.compare import compared, printed
    from energy.entry import entry
    from energy.pages import compare_page

    if len(reports) < 2:
        raise click.UsageError("compare takes two reports at least")
    result = compared([entry(path) for path in reports], convention, mixed)
    heads, rows = printed(result)
    say(table(heads, rows, right=range(1, len(heads))))
    for warning in result["warnings"]:
        say(f"note: {warning}")
    if html is not None:
        with whole(html) as draft:
            draft.write_text(compare_page(result), encoding="utf-8")
        say(f"{html}: open it in a browser")
    write_json(json_path, result)
