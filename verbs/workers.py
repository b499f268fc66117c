"""Chunks counted by several processes of this machine.

Each worker is a fresh interpreter with the model open and its share of the cores. Chunks are handed out in
order (`verbs.chunk_order`), one at a time to each. A worker that dies is replaced and its chunk counted
again, once; a chunk that ends two workers is an error. What a worker sends is JSON, in which a float64 keeps
every bit.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from convert.ir import BadInput
from energy.chunk import Chunk
from verbs.chunk_order import ChunkOrder
from verbs.counting import Job, counted, taken
from verbs.options import cores
from verbs.output import bar
from verbs.running import say_cut

_ONE_THREAD_EACH = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(eq=False)
class Worker:
    """A process and the pipe to it. chunk: what it counts at the moment."""

    process: BaseProcess
    pipe: Connection
    chunk: int | None = None

    def give(self, chunk: int) -> None:
        """Let it count; if it is dead already, its pipe says so when it is next read."""
        self.chunk = chunk
        with suppress(BrokenPipeError):
            self.pipe.send_bytes(str(chunk).encode())

    def end(self) -> None:
        """Stop it, at once."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def in_processes(job: Job, count: int, chunks: int, samples: int) -> Iterator[Chunk]:
    """All chunks of a job from `count` processes, in the order they are done.

    BasaltError with a worker's own words and exit code if one refuses; BadInput if a chunk ends two of them.
    """
    if not chunks:
        raise BadInput("the split is empty: nothing to run")
    count = min(count, chunks)
    job = replace(job, threads=job.threads or max(1, cores() // count), alone=False)
    cut = 0
    pool = _Pool(job, count, chunks)
    try:
        with bar(samples, f"{count} workers") as progress:
            for made, beyond in pool.results():
                cut += beyond
                yield made
                progress.n += len(made.rows)
                progress.refresh()
    finally:
        pool.end()
    say_cut(cut)


class _Pool:
    """Who counts what, and what is left."""

    def __init__(self, job: Job, count: int, chunks: int) -> None:
        self._job, self._order = job, ChunkOrder(chunks, count)
        self._again: list[int] = []  # chunks whose worker died
        self._ended: dict[int, int] = {}  # chunk -> workers that died of it
        self._workers: list[Worker] = []
        for _ in range(count):
            self._workers.append(_started(job))

    def results(self) -> Iterator[tuple[Chunk, int]]:
        """Chunks and their cut values as the workers send them, until no chunk is missing."""
        while self._order.left:
            for worker in self._workers:
                if worker.chunk is None and (chunk := self._take()) is not None:
                    worker.give(chunk)
            busy = {w.pipe: (w, w.chunk) for w in self._workers if w.chunk is not None}
            for pipe in wait(list(busy)):
                if (done := self._read(*busy[pipe])) is not None:
                    yield done

    def _take(self) -> int | None:
        return self._again.pop() if self._again else self._order.take()

    def _read(self, worker: Worker, chunk: int) -> tuple[Chunk, int] | None:
        """What a worker sent of the chunk it had; None if it died instead: then there is a new one."""
        try:
            made, cut = taken(json.loads(worker.pipe.recv_bytes()))
        except (EOFError, OSError):
            self._replace(worker, chunk)
            return None
        self._order.done(chunk)
        worker.chunk = None
        return made, cut

    def _replace(self, worker: Worker, chunk: int) -> None:
        worker.process.join()
        why = _ending(worker.process.exitcode)
        worker.end()
        self._ended[chunk] = self._ended.get(chunk, 0) + 1
        if self._ended[chunk] > 1:
            raise BadInput(
                f"workers: two processes ended on chunk {chunk} (the last {why}); nothing was written; "
                "run it again with fewer --workers if memory is short"
            )
        self._again.append(chunk)
        self._workers[self._workers.index(worker)] = _started(self._job)

    def end(self) -> None:
        for worker in self._workers:
            worker.end()


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"by {signal.Signals(-code).name}"
    return f"with exit code {code}"


def _started(job: Job) -> Worker:
    here, there = multiprocessing.Pipe()
    # A fresh interpreter: after a fork the threads of the runtime would be missing in the child.
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(there, job), daemon=True)
    with _environment({name: str(job.threads) for name in _ONE_THREAD_EACH}):
        process.start()
    there.close()
    return Worker(process, here)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """These variables for a child: numpy's threads are fixed when it is imported."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(pipe: Connection, job: Job) -> None:
    """A worker: a chunk's index in, the chunk or one line of error out, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends its workers
    with suppress(EOFError, BrokenPipeError):
        while True:
            pipe.send_bytes(json.dumps(counted(job, int(pipe.recv_bytes()))).encode())
