"""`prepare`: raw NTU RGB+D files into one indexed file."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from verbs.options import cores, json_option
from verbs.output import say, table, write_json

if TYPE_CHECKING:
    from train.data.ntu_name import Family
    from train.data.ntu_prepare import Summary

SETS = ("ntu60", "ntu120")
SHOWN = 3  # lines of a kind that are printed; all of them are in --json and in the file


@click.command(short_help="Turn raw NTU files into one indexed file.")
@click.option(
    "--dataset",
    type=click.Choice(SETS),
    default=None,
    help="Which set the files are of. With --raw and --out it is needed, but for --check.",
)
@click.option(
    "--raw",
    type=click.Path(path_type=Path, file_okay=False),
    multiple=True,
    metavar="DIR",
    help="Folder of .skeleton files, searched with its folders. Repeatable: NTU 120 comes in two archives.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=None, metavar="FILE.h5",
              help="The file that is made, for `train --data`.")  # fmt: skip
@click.option(
    "--missing",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="LIST",
    help="Samples with missing skeletons, one name a line; the authors' own files are taken as they are "
    "(302 names for ntu60, 535 for ntu120).",
)
@click.option(
    "--workers", type=click.IntRange(min=1), default=None, metavar="N", help="Processes. Default: all cores."
)
@click.option(
    "--skip-broken", is_flag=True, help="Leave broken files out and report them, instead of stopping."
)
@click.option(
    "--synthetic",
    type=click.IntRange(min=1),
    default=None,
    metavar="N",
    help="First write N made-up .skeleton files into --raw, which must be empty: to try it without NTU.",
)
@click.option(
    "--check",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="FILE.h5",
    help="Only read a prepared file through and compare it with its digests.",
)
@json_option
def prepare(
    dataset: str | None,
    raw: tuple[Path, ...],
    out: Path | None,
    missing: Path | None,
    workers: int | None,
    skip_broken: bool,
    synthetic: int | None,
    check: Path | None,
    json_path: Path | None,
) -> None:
    """Read a folder of NTU RGB+D .skeleton files into one file that training reads through a memory map.

    \b
    python cli.py prepare --dataset ntu60 --raw nturgb+d_skeletons --missing LIST --out ntu60.h5
    python cli.py train   --dataset ntu60 --data ntu60.h5 --out runs/ntu60-xsub
    python cli.py train   --config ntu60-xview --data ntu60.h5 --out runs/ntu60-xview

    \b
    Without NTU at hand, on 200 made-up files:
    python cli.py prepare --dataset ntu60 --raw out/raw --synthetic 200 --out out/ntu.h5
    python cli.py prepare --check out/ntu.h5

    Files are read in parallel; each worker holds one clip. Interrupted, by Ctrl-C or a kill, the same command
    goes on where it stopped (the half-done work lies in FILE.h5.parts) and ends with the same bytes. A broken
    file stops it with file and line: mend it and run again, or pass --skip-broken.

    Of each file at most two persons are kept: tracks of one person under several ids are joined, ghosts of 11
    frames or fewer and bodies wider than high are left out, and motion decides among the rest
    (train/data/ntu_bodies.py states the rules). All that was left out is counted here and named in --json.

    \b
    Exit codes: 0 done, 2 usage, 3 a broken file or folder, 130 interrupted (run again to go on).
    """
    if check is not None:
        if any((dataset, raw, out, missing, workers, skip_broken, synthetic)):
            raise click.UsageError("--check goes alone, with --json at most")
        return _check(check, json_path)
    absent = [name for name, value in (("--dataset", dataset), ("--raw", raw), ("--out", out)) if not value]
    if absent or dataset is None or out is None:
        raise click.UsageError(f"missing {', '.join(absent)}; see `cli.py prepare --help`")
    done = _run(dataset, raw, out, missing, workers or cores(), skip_broken, synthetic)
    write_json(json_path, {**dataclasses.asdict(done), "out": str(done.out)})
    return None


def _run(
    dataset: str,
    raw: Sequence[Path],
    out: Path,
    missing: Path | None,
    workers: int,
    skip_broken: bool,
    synthetic: int | None,
) -> Summary:
    """Make the files up where asked, prepare, and tell."""
    from train.data.ntu_name import FAMILIES, read_missing
    from train.data.ntu_prepare import prepare as run
    from train.data.ntu_synthetic import write_folder

    family = FAMILIES[dataset]
    listed = None if missing is None else read_missing(missing)
    if synthetic is not None:
        if len(raw) > 1:
            raise click.UsageError("--synthetic: give one --raw")
        write_folder(family, raw[0], synthetic)
        say(f"wrote {synthetic} made-up files into {raw[0]}")
    done = run(family, raw, out, missing=listed, workers=workers, skip_broken=skip_broken)
    _tell(family, done, missing)
    return done


def _tell(family: Family, done: Summary, missing: Path | None) -> None:
    """The summary for people."""
    head = ("file", "clips", "frames", "two persons", *(f"{name} train / test" for name in done.splits))
    splits = (f"{train} / {test}" for train, test in done.splits.values())
    say(table(head, [(done.out, done.clips, done.frames, done.two_persons, *splits)]))
    if done.resumed:
        say(f"went on after {done.resumed} files of an earlier run")
    for kind, lines in done.report.items():
        if lines:
            more = f" ... and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
            say(f"{kind}: {len(lines)}")
            say("".join(f"    {line}\n" for line in lines[:SHOWN]).rstrip() + more)
    if missing is None:
        say(
            f"no --missing list was given; the official one of {family.name} has {family.missing} names. "
            "Files without anybody were found by themselves, incomplete ones were not"
        )


def _check(path: Path, json_path: Path | None) -> None:
    from train.data.ntu_index import check, read

    index = read(path)
    check(index)
    facts = {"dataset": index.dataset, "clips": len(index.names), "frames": len(index.joints)}
    say(f"{path}: {facts['dataset']}, {facts['clips']} clips, {facts['frames']} frames, as they were written")
    write_json(json_path, {"file": str(path), **facts, "joints_digest": index.joints_digest})
