"""`prepare`: one file whatever the workers and interruptions, everything accounted for, bad input refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from train.data import ntu
from train.data.ntu_file import read as read_skeleton
from train.data.ntu_index import check, read
from train.data.ntu_name import NTU60, NTU120, parse
from train.data.ntu_parts import Parts
from train.data.ntu_prepare import prepare
from train.data.ntu_synthetic import write_folder

ROOT = Path(__file__).resolve().parents[2]


def links(raw, folder):
    """The same files in a folder of its own, where they can be exchanged."""
    folder.mkdir()
    for path in raw.iterdir():
        (folder / path.name).hardlink_to(path)
    return folder


def broken(path):
    """Cut a file's last lines off; the file it was linked to stays."""
    rows = path.read_bytes().splitlines(keepends=True)
    path.unlink()
    path.write_bytes(b"".join(rows[:-3]))
    return len(rows) - 2


def test_the_file_holds_what_the_recordings_hold(made):
    index = read(made.file)
    check(index)
    assert len(index.names) == 196 and list(index.names) == sorted(index.names)
    assert len(index.joints) == index.frames.sum() == index.starts[-1] + index.frames[-1]
    plain = 0
    for place, name in enumerate(index.names):
        recording = read_skeleton((made.raw / f"{name}.skeleton").read_bytes(), "x")
        clip = index.clip(place)
        assert clip.shape == (2, recording.frames, 25, 3)
        assert [bool(person.any()) for person in clip] == [True, index.persons[place] == 2]
        if len(recording.bodies) == 1 and index.persons[place] == 1:
            (body,) = recording.bodies
            seen = body.joints.any(axis=2)
            np.testing.assert_array_equal(clip[0, body.frames][seen], body.joints[seen])
            plain += 1
    assert plain > 50  # not vacuous: lost joints apart, nothing is changed
    assert {index.persons[k] for k, n in enumerate(index.names) if n.action >= 50} == {2}


def test_everything_is_accounted_for(made):
    report = read(made.file).report
    assert len(report["files without anybody"]) == 4
    out = report["bodies left out"]
    assert len(out) == 80 and {" ".join(line.split()[-2:]) for line in out if "too short" in line} == {
        "too short"
    }
    assert sum("too short" in line for line in out) == sum("wider than high" in line for line in out) == 40
    assert len(report["bodies joined"]) == sum(parse(p.stem).action < 50 for p in switched(made)) + 2 * sum(
        parse(p.stem).action >= 50 for p in switched(made)
    )
    assert report["broken files"] == report["files of no sample of the set"] == []


def switched(made):
    """The files in which ids change: number modulo 5 is 1, in the order of writing."""
    found = []
    for path in made.raw.iterdir():
        bodies = read_skeleton(path.read_bytes(), "x").bodies
        if (
            any(int(b.id) % 16 for b in bodies)
            and int(bodies[0].id) // 16 % 5 == 72057594037900000 // 16 % 5 + 1
        ):
            found.append(path)
    return found


def test_the_number_of_workers_changes_nothing(few, tmp_path):
    prepare(NTU60, [few.raw], tmp_path / "three.h5", workers=3, progress=False)
    assert (tmp_path / "three.h5").read_bytes() == few.file.read_bytes()
    assert not (tmp_path / "three.h5.parts").exists()


def test_killed_and_gone_on_with(made, tmp_path):
    """A pipe in the place of a file holds the run there until it is killed; the result is the same bytes."""
    raw = links(made.raw, tmp_path / "raw")
    held = sorted(raw.iterdir())[150]
    held.unlink()
    os.mkfifo(held)
    out = tmp_path / "killed.h5"
    command = [sys.executable, "cli.py", "prepare", "--dataset", "ntu60", "--raw", raw, "--out", out]
    process = subprocess.Popen([*map(str, command), "--workers", "2"], cwd=ROOT, stderr=subprocess.DEVNULL)
    index = tmp_path / "killed.h5.parts" / "index.jsonl"
    wait(lambda: index.exists() and index.read_bytes().count(b"\n") > 1)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.wait()
    wait(lambda: ended(held, children))  # no worker is left behind
    done = index.read_bytes().count(b"\n") - 1
    assert 0 < done <= 150 and len(children) >= 2 and not out.exists()

    held.unlink()
    shutil.copy2(made.raw / held.name, held)
    summary = prepare(NTU60, [raw], out, workers=2, progress=False)
    assert summary.resumed == done
    assert out.read_bytes() == made.file.read_bytes()
    assert not index.parent.exists()


def ended(pipe, children):
    """Whether all are gone; whoever waits in the pipe by now, or comes to it later, sees its end."""
    os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))
    return not any(alive(child) for child in children)


def wait(condition, limit_s=60.0):
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_torn_ends_are_cut_off(few, tmp_path, refused):
    """What a power cut may leave: half a line, joints without a line."""
    raw, out = links(few.raw, tmp_path / "raw"), tmp_path / "torn.h5"
    bad = sorted(raw.iterdir())[10]
    broken(bad)
    refused(lambda: prepare(NTU60, [raw], out, progress=False), bad.name)
    parts = tmp_path / "torn.h5.parts"
    lines = (parts / "index.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) == 11  # the header and ten files
    (parts / "index.jsonl").write_bytes(b"".join(lines[:-1]) + lines[-1][:-7])
    with (parts / "joints.f32").open("ab") as file:
        file.write(b"\1" * 1000)
    bad.unlink()
    bad.hardlink_to(few.raw / bad.name)
    assert prepare(NTU60, [raw], out, progress=False).resumed == 9
    assert out.read_bytes() == few.file.read_bytes()


def test_joints_that_are_missing_are_made_again(few, tmp_path, refused):
    raw, out = links(few.raw, tmp_path / "raw"), tmp_path / "short.h5"
    bad = sorted(raw.iterdir())[10]
    broken(bad)
    refused(lambda: prepare(NTU60, [raw], out, progress=False), bad.name)
    joints = tmp_path / "short.h5.parts" / "joints.f32"
    joints.write_bytes(joints.read_bytes()[:-5])
    assert prepare(NTU60, [raw], out, skip_broken=True, progress=False).resumed == 9


def test_a_file_that_changed_is_read_again(few, tmp_path, refused):
    raw, out = links(few.raw, tmp_path / "raw"), tmp_path / "new.h5"
    names = sorted(raw.iterdir())
    broken(names[10])
    refused(lambda: prepare(NTU60, [raw], out, progress=False), names[10].name)
    names[3].unlink()
    shutil.copyfile(few.raw / names[3].name, names[3])  # the same bytes, another time
    names[10].unlink()
    names[10].hardlink_to(few.raw / names[10].name)
    assert prepare(NTU60, [raw], out, progress=False).resumed == 3
    assert out.read_bytes() == few.file.read_bytes()


def test_parts_of_another_set_are_no_beginning(few, tmp_path, refused):
    parts = tmp_path / "o.h5.parts"
    parts.mkdir()
    (parts / "index.jsonl").write_text('{"dataset": "ntu120"}\n')
    refused(lambda: prepare(NTU60, [few.raw], tmp_path / "o.h5", progress=False), "o.h5.parts", "another")
    assert (parts / "index.jsonl").read_text() == '{"dataset": "ntu120"}\n'


def test_a_broken_file_stops_or_is_reported(few, tmp_path, run):
    raw, out = links(few.raw, tmp_path / "raw"), tmp_path / "b.h5"
    bad = sorted(raw.iterdir())[5]
    line = broken(bad)
    ask = ("prepare", "--dataset", "ntu60", "--raw", raw, "--out", out, "--workers", 2)
    got = run(*ask)
    assert (got.code, out.exists()) == (3, False)
    assert f"{bad}:{line}: found the end of the file" in got.err and "--skip-broken" in got.err
    assert "Traceback" not in got.err
    got = run(*ask, "--skip-broken", "--json", tmp_path / "s.json")
    assert got.code == 0, got.err
    assert "broken files: 1" in got.out and "went on after 5 files" in got.out
    summary = json.loads((tmp_path / "s.json").read_text())
    assert summary["clips"] == len(read(out).names) == len(read(few.file).names) - 1
    assert summary["report"]["broken files"][0].startswith(f"{bad.name}:{line}:")
    got = run(*ask)
    assert got.code == 3 and "a file already" in got.err


def test_missing_samples_are_left_out_and_compared(few, tmp_path, run):
    names = sorted(p.stem for p in few.raw.iterdir())
    listed = tmp_path / "missing.txt"
    listed.write_text(f"Two of the samples are missing.\n\n{names[0]}\n{names[7]}\nS017C003P040R002A060\n")
    out = tmp_path / "m.h5"
    got = run(
        "prepare", "--dataset", "ntu60", "--raw", few.raw, "--out", out, "--missing", listed, "--workers", 1
    )
    assert got.code == 0, got.err
    assert "files of the missing list: 2" in got.out
    assert "listed as missing, but not there: 1\n    S017C003P040R002A060" in got.out
    left = {str(name) for name in read(out).names}
    assert left == {str(n) for n in read(few.file).names} - {names[0], names[7]}
    assert "no --missing" not in got.out


def test_foreign_files_folders_and_copies(few, tmp_path, refused):
    raw = tmp_path / "raw"
    (raw / "deep").mkdir(parents=True)
    path = next(p for p in sorted(few.raw.iterdir()) if "C001" in p.name)
    for name in (
        f"deep/{path.name}",
        "S018C001P001R001A001.skeleton",
        "notes.skeleton",
        f"._{path.name}",
        "x.txt",
    ):
        (raw / name).hardlink_to(path)
    done = prepare(NTU60, [raw], tmp_path / "a.h5", progress=False)
    assert done.clips == 1 and done.splits == {"xsub": (1, 0), "xview": (0, 1)}
    assert done.report["files of no sample of the set"] == ["S018C001P001R001A001.skeleton", "notes.skeleton"]
    (raw / path.name).hardlink_to(path)
    refused(lambda: prepare(NTU60, [raw], tmp_path / "b.h5", progress=False), path.stem, "again", "deep")


def test_nothing_to_prepare(few, tmp_path, refused):
    refused(lambda: prepare(NTU60, [tmp_path / "no"], tmp_path / "o.h5"), "no folder", "--raw")
    (tmp_path / "raw").mkdir()
    refused(lambda: prepare(NTU60, [tmp_path / "raw"], tmp_path / "o.h5"), "no .skeleton file of ntu60")
    (tmp_path / "raw" / "S001C001P001R001A001.skeleton").write_text("1\n0\n")
    refused(
        lambda: prepare(NTU60, [tmp_path / "raw"], tmp_path / "o.h5", progress=False), "no clip with a person"
    )
    every = frozenset(parse(p.stem) for p in few.raw.iterdir())
    refused(lambda: prepare(NTU60, [few.raw], tmp_path / "p.h5", missing=every), "missing list")


@pytest.mark.parametrize("member", ["names", "frames", "persons", "report"])
def test_an_edited_index_is_refused(few, tmp_path, member, refused):
    path = tmp_path / "edited.h5"
    shutil.copyfile(few.file, path)
    with h5py.File(path, "r+") as file:
        file[member][0] = file[member][1]
        changed = file[member][()].tobytes()
    with h5py.File(few.file) as file:
        same = changed == file[member][()].tobytes()
    if same:  # two clips alike in this column: change it otherwise
        with h5py.File(path, "r+") as file:
            file[member][0] = file[member][0] + 1
    refused(lambda: read(path), "edited.h5", "digest", "prepare it again")


def test_other_broken_files_are_refused(few, tmp_path, refused, run):
    path = tmp_path / "f.h5"
    refused(lambda: read(path), "no file")
    path.write_bytes(few.file.read_bytes()[:5000])
    refused(lambda: read(path), "no whole HDF5 file")
    with h5py.File(path, "w") as file:
        file["joints"] = [1.0]
    refused(lambda: read(path), "another kind")
    for mark, value, word in (("version", 9, "version 9"), ("rules", "0", "persons by the rules 0")):
        shutil.copyfile(few.file, path)
        with h5py.File(path, "r+") as file:
            file.attrs[mark] = value
        refused(lambda: read(path), word)
    shutil.copyfile(few.file, path)
    with h5py.File(path, "r+") as file:
        joints = file["joints"][()]
        del file["joints"]
        file.create_dataset("joints", data=joints, compression="gzip")
    refused(lambda: read(path), "contiguous")
    shutil.copyfile(few.file, path)
    with h5py.File(path, "r+") as file:
        file["joints"][3, 0, 0, 0] += 1
    got = run("prepare", "--check", path)
    assert got.code == 3 and "joints that do not match their digest" in got.err
    assert run("prepare", "--check", few.file).code == 0


def test_clips_are_views_of_the_file(few, refused):
    """Loading reads no joints; options and splits are those of the protocol."""
    train, test = (ntu.load_60(few.file, split, protocol="xview") for split in ("train", "test"))
    assert {c.view for c in train.clips} == {2, 3} and {c.view for c in test.clips} == {1}
    assert (
        len(train.clips) + len(test.clips)
        == len(ntu.load_60(few.file, "all").clips)
        == len(read(few.file).names)
    )
    for clip in train.clips:
        assert not clip.joints.flags.owndata and not clip.joints.flags.writeable
        name = parse(clip.id)
        assert (clip.label, clip.subject, clip.view, clip.setup) == (
            name.action - 1, name.performer, name.camera, name.setup,
        )  # fmt: skip
    assert (train.layout, len(train.class_names), train.unseen) == ("ntu25", 60, "views")
    assert train.dropped and all(parse(line[:20]).camera in (2, 3) for line in train.dropped)
    refused(lambda: ntu.load_60(few.file, "val"), "'val'")
    refused(lambda: ntu.load_60(None, "train"), "cli.py prepare")
    refused(lambda: ntu.load_60(few.file, "train", protocol="xset"), "'xset'")
    refused(lambda: ntu.load_60(few.file, "train", protocol=["xsub", "xview"]), "xview")
    refused(lambda: ntu.load_120(few.file, "train"), "ntu60", "ntu120")


def test_ntu60_in_a_file_of_ntu120(tmp_path):
    write_folder(NTU120, tmp_path / "raw", 30)
    first = next((tmp_path / "raw").iterdir())
    first.rename(first.with_name("S018C001P041R001A061.skeleton"))
    prepare(NTU120, [tmp_path / "raw"], tmp_path / "all.h5", progress=False)
    assert len(ntu.load_120(tmp_path / "all.h5", "all", protocol="xset").clips) == 30
    found = ntu.load_60(tmp_path / "all.h5", "all")
    assert len(found.clips) == 29 and len(found.class_names) == 60


def test_interrupted_in_the_last_step(few, tmp_path, monkeypatch):
    """All files are read, the file is not written yet: Ctrl-C there costs the writing alone."""

    def interrupted(*_):
        raise KeyboardInterrupt

    out = tmp_path / "late.h5"
    with monkeypatch.context() as patch:
        patch.setattr("train.data.ntu_index.write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare(NTU60, [few.raw], out, progress=False)
    assert not out.exists()
    assert prepare(NTU60, [few.raw], out, progress=False).resumed == 24
    assert out.read_bytes() == few.file.read_bytes()


def test_one_at_a_time(few, tmp_path, refused):
    header = '{"dataset": "ntu60"}'
    with Parts(tmp_path / "o.h5.parts", header, (), False):
        refused(lambda: prepare(NTU60, [few.raw], tmp_path / "o.h5", progress=False), "another prepare")


def test_the_command_line(tmp_path, run):
    for ask, word in (
        ((), "missing --dataset, --raw, --out"),
        (("--dataset", "ntu60", "--raw", tmp_path), "missing --out"),
        (("--check", tmp_path / "x", "--dataset", "ntu60"), "--check goes alone"),
        (("--dataset", "ucla"), "ntu120"),
    ):
        got = run("prepare", *ask)
        assert got.code == 2 and word in got.err
    got = run("prepare", "--help")
    assert got.code == 0 and "--skip-broken" in got.out and "goes on" in got.out
