"""Work in several processes, results in order, memory bounded: at most one result a worker waits to be taken.

Task i goes to worker i mod N, and results are taken in the order of the tasks. A worker that is ahead stops
in its pipe until its turn comes, so that nothing piles up here. Workers are started afresh, not forked: they
hold their own pipe alone, and end by themselves when this process is killed.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from train.data.errors import DataError

AHEAD = 2
"""Tasks a worker knows of: the one it is at and the next."""


def ordered(work: Callable[[Any], Any], tasks: Sequence[Any], workers: int) -> Iterator[Any]:
    """work(task) of each task, in their order; work is a function of a module, here when workers is 1."""
    workers = min(workers, len(tasks))
    if workers <= 1:
        yield from map(work, tasks)
        return
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    try:
        for _ in range(workers):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, work), daemon=True)
            _start(process)
            there.close()
            pipes.append(here)
            processes.append(process)
        for number, task in enumerate(tasks[: AHEAD * workers]):
            pipes[number % workers].send(task)
        for number, task in enumerate(tasks):
            pipe = pipes[number % workers]
            yield _taken(pipe, task)
            if (later := number + AHEAD * workers) < len(tasks):
                pipe.send(tasks[later])
    finally:
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.terminate()
            process.join()


def _start(process: BaseProcess) -> None:
    """Start a worker that never sees Ctrl-C: that is for the process that gives the tasks."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # what is blocked here is inherited
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _taken(pipe: Connection, task: Any) -> Any:
    """The next result of a pipe."""
    try:
        return pipe.recv()
    except (EOFError, OSError) as error:
        raise DataError.of(
            str(task),
            found="its worker process gone",
            expected="a result",
            do="run the same command again with fewer --workers: it goes on from here",
        ) from error


def _serve(pipe: Connection, work: Callable[[Any], Any]) -> None:
    """A worker: until the other end of the pipe is closed, or its process gone."""
    try:
        while True:
            pipe.send(work(pipe.recv()))
    except (EOFError, OSError):
        pass
