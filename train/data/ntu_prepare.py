"""From a folder of raw `.skeleton` files to one prepared file: in parallel, resumable, nothing lost unsaid.

Every file of the set below the folder is read (train.data.ntu_file), its bodies become persons
(train.data.ntu_bodies), and the frames go into OUT.parts (train.data.ntu_parts) in the order of the names;
from there, at the end, into OUT (train.data.ntu_index). The bytes of OUT depend on the files, the list of
missing samples and the rules, and not on the number of workers or on interruptions.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from train.data import ntu_file, ntu_index
from train.data.errors import DataError
from train.data.ntu_bodies import RULES, persons
from train.data.ntu_classes import title
from train.data.ntu_name import SUFFIX, Family, Name, parse
from train.data.ntu_parts import Entry, Parts, Source
from train.data.ntu_pool import ordered


@dataclass(frozen=True, slots=True)
class Found:
    """The files of a set below a folder, by name; foreign: .skeleton files that are not of the set."""

    sources: tuple[Source, ...]
    foreign: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one file gave: frames float32 [F, 2, 25, 3] as bytes, none where it is no clip (why says why)."""

    frames: int
    persons: int
    joints: bytes
    why: str
    broken: bool
    dropped: tuple[str, ...]
    joined: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """What `prepare` did. splits: protocol -> (training clips, test clips); classes: title -> clips;
    resumed: files that an earlier run had done; report: what was left out or mended, by kind."""

    out: Path
    clips: int
    frames: int
    two_persons: int
    resumed: int
    splits: dict[str, tuple[int, int]]
    classes: dict[str, int]
    report: dict[str, list[str]]


def find(family: Family, folders: Sequence[Path]) -> Found:
    """All .skeleton files below the folders; two of one name are refused."""
    sources: dict[Name, Source] = {}
    foreign: list[str] = []
    for folder in folders:
        if not folder.is_dir():
            raise DataError.of(
                folder, found="no folder", expected=f"a folder of {SUFFIX} files", do="correct --raw"
            )
        for path in _below(folder):
            name = parse(path.name.removesuffix(SUFFIX))
            if name is None or not family.holds(name):
                foreign.append(path.name)
                continue
            if name in sources:
                raise DataError.of(
                    path.path,
                    found=f"{name} again",
                    expected=f"one file (as {sources[name].path})",
                    do="remove one",
                )
            state = path.stat()
            sources[name] = Source(str(name), path.path, state.st_size, state.st_mtime_ns)
    if not sources:
        raise DataError.of(
            ", ".join(map(str, folders)),
            found=f"no {SUFFIX} file of {family.name}",
            expected=f"SsssCcccPpppRrrrAaaa{SUFFIX}, with setups up to {family.setups}",
            do="correct --raw or --dataset",
        )
    return Found(tuple(sources[name] for name in sorted(sources)), tuple(sorted(foreign)))


def _below(folder: Path | str) -> Iterable[os.DirEntry[str]]:
    """The .skeleton files of a folder and its folders; "._x" are resource forks that macOS adds."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _below(entry.path)
            elif entry.name.endswith(SUFFIX) and not entry.name.startswith("._"):
                yield entry


def prepare(
    family: Family,
    folders: Sequence[Path],
    out: Path,
    *,
    missing: frozenset[Name] | None = None,
    workers: int = 1,
    skip_broken: bool = False,
    progress: bool = True,
) -> Summary:
    """Fill `out`; a run that was interrupted is gone on with. A broken file stops it unless skip_broken."""
    if out.exists():
        raise DataError.of(
            out, found="a file already", expected="none", do="choose another --out or remove it"
        )
    found = find(family, folders)
    wanted = [source for source in found.sources if missing is None or parse(source.name) not in missing]
    if not wanted:
        raise DataError.of(
            out, found="every sample in the missing list", expected="one left", do="correct --missing"
        )
    header = json.dumps({"dataset": family.name, "rules": RULES, "version": ntu_index.VERSION})
    with Parts(out.with_name(out.name + ".parts"), header, wanted, skip_broken) as parts:
        resumed = len(parts.entries)
        bar = tqdm(total=len(wanted), initial=resumed, unit="file", desc=family.name, disable=not progress)
        with bar:
            _fill(parts, wanted[resumed:], workers, skip_broken, bar)
        clips = [entry for entry in parts.entries if entry.frames]
        if not clips:
            raise DataError.of(
                out, found="no clip with a person", expected="one", do="check the files in --raw"
            )
        report = _report(found, missing, parts.entries)
        columns = ([getattr(clip, key) for clip in clips] for key in ("name", "frames", "persons"))
        ntu_index.write(out, family.name, *columns, report, parts.blocks())
        parts.remove()
    return _summary(family, out, clips, report, resumed)


def _fill(parts: Parts, sources: Sequence[Source], workers: int, skip_broken: bool, bar: tqdm) -> None:
    """Read the sources into the parts, in their order."""
    with closing(ordered(process, [source.path for source in sources], workers)) as outcomes:
        for source, outcome in zip(sources, outcomes, strict=True):
            if outcome.broken and not skip_broken:
                where = Path(source.path).parent
                raise DataError(f"{where}/{outcome.why}; or pass --skip-broken to go on without such files")
            parts.add(_entry(source, outcome, parts.frames), outcome.joints)
            bar.update()


def process(path: str) -> Outcome:
    """One file, in a worker: read it and choose its persons. Messages name the file without its folder."""
    name = Path(path).name
    try:
        with open(path, "rb") as file:
            recording = ntu_file.read(file.read(), name)
    except DataError as error:
        return Outcome(0, 0, b"", str(error), True, (), ())
    except OSError as error:
        return Outcome(0, 0, b"", f"{name}: {error.strerror or error}", True, (), ())
    chosen = persons(recording)
    stem = name.removesuffix(SUFFIX)
    dropped = tuple(f"{stem}: {line}" for line in chosen.dropped)
    joined = tuple(f"{stem}: {line}" for line in chosen.joined)
    if not chosen.count:
        why = f"{stem}: nobody in any of {recording.frames} frames"
        return Outcome(0, 0, b"", why, False, dropped, joined)
    joints = np.ascontiguousarray(chosen.joints, "<f4").tobytes()
    return Outcome(recording.frames, chosen.count, joints, "", False, dropped, joined)


def _entry(source: Source, outcome: Outcome, before: int) -> Entry:
    return Entry(
        name=source.name,
        size=source.size,
        changed_ns=source.changed_ns,
        frames=outcome.frames,
        persons=outcome.persons,
        end=before + outcome.frames,
        why=outcome.why,
        broken=outcome.broken,
        dropped=outcome.dropped,
        joined=outcome.joined,
    )


def _report(found: Found, missing: frozenset[Name] | None, entries: Sequence[Entry]) -> dict[str, list[str]]:
    """What was left out or mended, by kind, each a list of lines that begin with a sample's name."""
    there = {source.name for source in found.sources}
    listed = sorted(str(name) for name in missing or ())
    return {
        "bodies left out": [line for entry in entries for line in entry.dropped],
        "bodies joined": [line for entry in entries for line in entry.joined],
        "files without anybody": [entry.why for entry in entries if not entry.frames and not entry.broken],
        "broken files": [entry.why for entry in entries if entry.broken],
        "files of the missing list": [name for name in listed if name in there],
        "listed as missing, but not there": [name for name in listed if name not in there],
        "files of no sample of the set": list(found.foreign),
    }


def _summary(
    family: Family, out: Path, clips: Sequence[Entry], report: dict[str, list[str]], resumed: int
) -> Summary:
    names = [name for entry in clips if (name := parse(entry.name))]
    classes = Counter(name.label for name in names)
    splits = {}
    for key, protocol in family.protocols.items():
        train = sum(protocol.trains(name) for name in names)
        splits[key] = (train, len(names) - train)
    return Summary(
        out=out,
        clips=len(clips),
        frames=sum(entry.frames for entry in clips),
        two_persons=sum(entry.persons == 2 for entry in clips),
        resumed=resumed,
        splits=splits,
        classes={title(label): classes[label] for label in sorted(classes)},
        report=report,
    )
