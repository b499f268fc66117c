"""What an energy report takes in memory: a chunk and an index of the samples, never their skeletons."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

import cli
from convert.artifact import MANIFEST, SEAL, _seal, open_artifact
from energy.conventions import DEFAULT
from verbs import counting
from verbs.counting import Job, counted

TABLE = "horowitz45-fp32"
# Bytes a sample may add: an entry of the index is under 0.5 KB, a row of the page's list (400 at most) under
# 1.3 KB. A clip alone, as it is read, has 25 to 60 frames of 240 bytes; its 8 prepared frames have 3.8 KB.
ENTRY = 3000
FEW, MANY = 11, 44  # test clips in each of 12 classes: two whole batches are in the few already

PEAKS = """
import sys, tracemalloc
from cli import VERBS
from verbs.group import Verbs, root

def report(artifact):
    return Verbs.run(root(VERBS), ["energy-report", artifact, "--cost-table", "horowitz45-fp32", "--out",
                                   artifact + "/out", "--page-samples", "1", "--threads", "1", *sys.argv[3:]])

assert report(sys.argv[1]) == 0  # what is imported or compiled once
for artifact in sys.argv[1:3]:
    tracemalloc.start()  # before the samples are made
    assert report(artifact) == 0
    print("peak", tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
"""


def peaks(few, many, *options):
    """[few, many]: bytes at the peak of a report of each, by tracemalloc, numpy's arrays included."""
    done = subprocess.run(
        [sys.executable, "-c", PEAKS, str(few), str(many), *map(str, options)],
        cwd=Path(cli.__file__).parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("peak")]


@pytest.fixture
def sized(onnx_artifact, tmp_path):
    """The artifact, as if its data set had n test clips in each of 12 classes."""

    def call(n):
        about = json.loads((onnx_artifact / MANIFEST).read_text())
        about["source"]["dataset"]["options"]["test_per_class"] = n
        made = shutil.copytree(onnx_artifact, tmp_path / f"of-{n}", dirs_exist_ok=True)
        (made / MANIFEST).write_text(json.dumps(about | {SEAL: _seal(about)}))
        return made

    return call


def lines(artifact):
    return (artifact / "out" / "samples.jsonl").read_text().splitlines()


def test_memory_does_not_grow_with_the_samples(sized):
    few, many = sized(FEW), sized(MANY)
    found = peaks(few, many)
    assert [len(lines(few)), len(lines(many))] == [12 * FEW, 12 * MANY]
    assert found[1] - found[0] < ENTRY * 12 * (MANY - FEW), found


def test_nor_does_that_of_a_process_that_counts_for_another(sized):
    """What a worker of --workers or --cluster does: open everything a job names, count two of its chunks."""
    found = []
    for artifact in (
        sized(FEW),
        sized(FEW),
        sized(MANY),
    ):  # the first run meets what is imported or compiled once
        job = Job(
            str(artifact), open_artifact(artifact).fingerprint, "onnx", None, None, None, "test", None, TABLE,
            DEFAULT, alone=False, threads=1,
        )  # fmt: skip
        counting._opened.cache_clear()
        tracemalloc.start()
        assert all(counted(job, index)["chunk"]["rows"] for index in (0, 1))
        found.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert found[2] - found[1] < ENTRY * 12 * (MANY - FEW), found
