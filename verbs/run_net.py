"""`run-net`: a `.net` file on a target, fed from a .npy file."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from verbs.options import json_option
from verbs.output import say, table, write_json

PROGRAMS = ["loihi-sim", "lava"]  # the targets that take a program, which a .net becomes


@click.command(name="run-net", short_help="Run a .net file on a target.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--input",
    "source",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE.npy",
    help="[T, N, *shape]: N samples of T steps; spikes, or what an input neuron is fed.",
)
@click.option(
    "--target",
    "name",
    type=click.Choice(PROGRAMS),
    default="loihi-sim",
    show_default=True,
    help="Where to run; see `cli.py targets`.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="FILE.npz",
    help="Outputs, counts and the last layer's spikes of every step.",
)
@json_option
def run_net(file: Path, source: Path, name: str, out: Path | None, json_path: Path | None) -> None:
    """Run FILE, a network of lava-dl, without lava-dl: in slayer's meaning, on a target of Basalt.

    \b
    python cli.py lint network.net
    python cli.py run-net network.net --input spikes.npy --out result.npz

    Steps are aligned: step t of every layer answers step t of the input. docs/net.md says what a file means.
    """
    from convert.ir import Unsupported
    from convert.net_reader import read_net
    from deploy.target import target, told

    program, x = read_net(file), _load(source)
    where = target(name)
    if why := where.available():
        raise Unsupported(name, why, "or choose another target (`cli.py targets`)")
    if reasons := where.supports(program):
        raise Unsupported(name, told(reasons), "see docs/net.md")
    last = program.outputs[0]
    spiking = getattr(program.populations[last].model, "spiking", True)
    runner = where.compile(program)
    try:
        record = runner.run(x, [last] if spiking else [])
    finally:
        runner.close()
    totals = {n: int(c.sum()) for n, c in record.counts.items()}
    if out is not None:
        _save(out, record, last)
    write_json(json_path, {"file": str(file), "target": name, "steps": record.steps, "messages": totals})
    rows = [(n, program.populations[n].size, total) for n, total in totals.items()]
    say(table(("population", "neurons", "messages"), rows, right=(1, 2)))
    say(f"{name}: {record.samples} samples of {record.steps} steps, {record.wall_s:.2f} s, output {last}")


def _load(path: Path) -> np.ndarray:
    from convert.ir import BadInput

    try:
        x = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{path}: not a readable .npy file ({error}); expected [T, N, *shape]") from error
    if not isinstance(x, np.ndarray) or x.ndim < 3:
        raise BadInput(f"{path}: expected one array [T, N, *shape]; add an axis for the samples")
    return x


def _save(path: Path, record: object, last: str) -> None:
    from convert.ir.files import whole

    arrays = {f"counts/{n}": c for n, c in record.counts.items()}  # type: ignore[attr-defined]
    arrays |= {f"outputs/{n}": v for n, v in record.outputs.items()}  # type: ignore[attr-defined]
    arrays |= {f"raster/{n}": v for n, v in record.rasters.items() if n == last}  # type: ignore[attr-defined]
    with whole(path) as draft, draft.open("wb") as file:
        np.savez_compressed(file, **arrays)
