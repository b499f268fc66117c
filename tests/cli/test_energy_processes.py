"""energy-report in several processes: the same chunks whoever counts them, and whoever dies meanwhile."""

from __future__ import annotations

import builtins
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cli
from convert.artifact import open_artifact
from convert.ir import BadInput
from deploy.record import RasterCounts
from energy.conventions import DEFAULT
from verbs import cluster, workers
from verbs.chunk_order import AHEAD, ChunkOrder
from verbs.cluster import on_cluster
from verbs.counting import Counting, Job, WorkerError, in_turn
from verbs.running import run_all
from verbs.workers import in_processes

TABLE = "horowitz45-fp32"


@pytest.fixture(scope="session")
def job(onnx_artifact):
    """The onnx artifact's test samples in chunks of two."""
    where = onnx_artifact
    return Job(
        str(where), open_artifact(where).fingerprint, "onnx", None, None, None, "test", None, TABLE, DEFAULT,
        alone=False, threads=1, batch=2,
    )  # fmt: skip


@pytest.fixture(scope="session")
def expected(job):
    """Chunks of one process; enough of them that a death falls into the work."""
    counting = Counting.of(job)
    made = [chunk.state() for chunk in in_turn(counting)]
    counting.loaded.runner.close()
    assert len(made) >= 6 and all(row["totals"]["sop_exact"] for chunk in made for row in chunk["rows"])
    return made


def lines(chunks):
    """The bytes of samples.jsonl, in order; no chunk twice."""
    found = {c["index"]: c for c in chunks}
    assert len(found) == len(chunks)
    return "".join(json.dumps(row) + "\n" for i in sorted(found) for row in found[i]["rows"]).encode()


def killing(chunks):
    """The chunks; when the first has come, one of the processes that count is killed."""
    made, killed = [], []
    for chunk in chunks:
        made.append(chunk.state())
        if not killed:
            killed.append(multiprocessing.active_children()[0].pid)
            os.kill(killed[0], signal.SIGKILL)
    assert killed
    return made


def samples(expected):
    return sum(len(c["rows"]) for c in expected)


def test_processes_count_the_same_and_a_killed_one_loses_nothing(job, expected):
    made = killing(in_processes(job, 2, len(expected), samples(expected)))
    assert lines(made) == lines(expected)
    assert sorted(json.dumps(c["sums"]) for c in made) == sorted(json.dumps(c["sums"]) for c in expected)
    assert not multiprocessing.active_children()


def test_a_cluster_counts_the_same_and_a_killed_worker_loses_nothing(job, expected):
    pytest.importorskip("distributed", reason="Dask is not installed (requirements-cluster.txt)")
    made = killing(on_cluster(job, "local:2", len(expected), samples(expected)))
    assert lines(made) == lines(expected)
    assert sorted(json.dumps(c["sums"]) for c in made) == sorted(json.dumps(c["sums"]) for c in expected)


def test_chunks_are_given_out_in_order_and_not_far_ahead(workers=3, chunks=100):
    """Nobody is given a chunk further behind the first one missing than AHEAD for each worker."""
    order, rng, out, given = ChunkOrder(chunks, workers), np.random.default_rng(0), set(), []
    while order.left:
        while (chunk := order.take()) is not None:
            out.add(chunk)
            given.append(chunk)
            assert chunk - min(out) < AHEAD * workers
        assert out and (len(given) == chunks or given[-1] - min(out) == AHEAD * workers - 1)
        done = int(rng.choice([c for c in out if c != min(out)] or sorted(out)))  # the first one comes last
        out.remove(done)
        order.done(done)
    assert given == list(range(chunks)) and not out and order.take() is None


def test_no_spikes_are_summed_that_nobody_asks_for(job, monkeypatch):
    """A counter reads the rasters; `run_all` leaves their sums alone."""
    counting = Counting.of(job)
    seen = []
    monkeypatch.setattr(RasterCounts, "__getitem__", lambda self, name: seen.append(name))
    found = run_all(counting.loaded, counting.feed, 32, counting._counter.rasters)
    counting.loaded.runner.close()
    assert len(found) == len(counting.feed.samples) and seen == []


def test_no_scheduler_is_one_line(onnx_artifact, run, tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="Dask is not installed (requirements-cluster.txt)")
    monkeypatch.setattr(cluster, "PATIENCE_S", 1)
    out, at = tmp_path / "out", "tcp://127.0.0.1:1"
    done = run("energy-report", onnx_artifact, "--cost-table", TABLE, "--out", out, "--cluster", at)
    assert done.code == 3 and len(done.error_lines) == 1 and "no scheduler with workers answered" in done.err
    assert not out.exists()


def test_a_chunk_that_ends_two_workers_is_an_error(job, monkeypatch):
    monkeypatch.setattr(workers, "_serve", os.abort)  # takes no arguments: each worker ends at once
    with pytest.raises(BadInput, match=r"two processes ended on chunk 0 .*exit code 1.*nothing was written"):
        list(in_processes(job, 1, 3, 6))
    assert not multiprocessing.active_children()


def test_a_worker_says_what_is_wrong_in_its_own_words(job):
    other = replace(job, fingerprint="0" * 64)
    with pytest.raises(WorkerError, match="another artifact than the one asked for") as caught:
        list(in_processes(other, 1, 3, 6))
    assert caught.value.exit_code == 3 and not multiprocessing.active_children()


def test_the_command_line_gives_the_same_files(onnx_artifact, run, tmp_path):
    base = ["energy-report", onnx_artifact, "--cost-table", TABLE, "--limit", 3, "--page-samples", 1]
    assert run(*base, "--out", tmp_path / "one", "--threads", 1).code == 0
    assert run(*base, "--out", tmp_path / "two", "--workers", 2).code == 0
    one, two = (json.loads((tmp_path / n / "summary.json").read_text()) for n in ("one", "two"))
    assert one["totals"] == two["totals"] and one["layers"] == two["layers"]
    assert "several processes" in two["header"]["latency"] and two["latency_s"] is None
    rows = [
        [json.loads(s) | {"latency_s": None} for s in (tmp_path / n / "samples.jsonl").open()]
        for n in ("one", "two")
    ]
    assert rows[0] == rows[1] and len(rows[0]) == 3


@pytest.mark.parametrize("address", ["local:0", "local:x", "host:8786", "tcp:host"])
def test_an_address_that_is_none_is_refused(onnx_artifact, run, tmp_path, address):
    done = run("energy-report", onnx_artifact, "--cost-table", TABLE, "--out", tmp_path, "--cluster", address)
    assert done.code == 2 and "expected tcp://HOST:PORT or local:N" in done.err


def test_without_dask_the_message_says_what_to_install(onnx_artifact, run, tmp_path, monkeypatch):
    found = builtins.__import__
    monkeypatch.setattr(
        builtins, "__import__",
        lambda name, *a, **k: _missing(name) if name == "distributed" else found(name, *a, **k),
    )  # fmt: skip
    out = tmp_path / "out"
    done = run("energy-report", onnx_artifact, "--cost-table", TABLE, "--out", out, "--cluster", "local:1")
    assert done.code == 4 and "requirements-cluster.txt" in done.err and len(done.error_lines) == 1
    assert not out.exists()


def _missing(name):
    raise ImportError(name)


def test_ctrl_c_leaves_no_file_and_no_process(onnx_artifact, tmp_path):
    out = tmp_path / "out"
    command = [
        sys.executable, "cli.py", "energy-report", str(onnx_artifact), "--cost-table", TABLE,
        "--out", str(out), "--workers", "2",
    ]  # fmt: skip
    started = subprocess.Popen(
        command, cwd=Path(cli.__file__).parent, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (out.is_dir() and list(out.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.05)  # until the drafts lie there
    os.killpg(started.pid, signal.SIGINT)
    _, err = started.communicate(timeout=120)
    assert started.returncode == 130, err
    assert not out.exists() and "Traceback" not in err
