"""Chunks counted on a Dask cluster: the same tasks as `verbs.workers`, on processes of any machine.

Dask and not Ray: its scheduler and workers are plain Python processes from one small wheel, run on a laptop
and under SLURM, PBS or Kubernetes alike, and it counts a task again by itself when the worker that had it, or
that held its result, is gone. A task is a chunk's index, its key names the job and the index, and counting is
the same every time: however often a chunk is counted, the report takes it once.

Workers need this checkout as their working folder, and model and data under the same paths; a worker that
finds another artifact there refuses. Dask sends pickles between its processes: use a cluster you trust.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import astuple, replace
from hashlib import sha256
from typing import Any

from convert.ir import BadInput, Unsupported
from energy.chunk import Chunk
from verbs.chunk_order import ChunkOrder
from verbs.counting import Job, counted, taken
from verbs.options import cores
from verbs.output import bar
from verbs.running import say_cut

PATIENCE_S = 60


def on_cluster(job: Job, address: str, chunks: int, samples: int) -> Iterator[Chunk]:
    """All chunks of a job, in the order they are done. address: 'tcp://host:port' or 'local:N'."""
    if not chunks:
        raise BadInput("the split is empty: nothing to run")
    cut = 0
    with ExitStack() as stack:
        client = _client(address, stack)
        here = int(address.partition(":")[2]) if address.startswith("local:") else 0
        threads = job.threads or (max(1, cores() // here) if here else 1)
        job = replace(job, threads=threads, alone=False)
        progress = stack.enter_context(bar(samples, address))
        for made, beyond in _results(client, job, chunks):
            cut += beyond
            yield made
            progress.n += len(made.rows)
            progress.refresh()
    say_cut(cut)


def _results(client: Any, job: Job, chunks: int) -> Iterator[tuple[Chunk, int]]:
    """Chunks and their cut values as they come; a bounded number of tasks is out at a time."""
    from distributed import KilledWorker, as_completed

    token = sha256(repr(astuple(job)).encode()).hexdigest()[:16]
    order = ChunkOrder(chunks, max(1, len(client.scheduler_info(n_workers=-1)["workers"])))
    waiting = as_completed()
    while order.left:
        while (chunk := order.take()) is not None:
            waiting.add(client.submit(counted, job, chunk, key=f"basalt-{token}-{chunk}"))
        future = next(waiting)
        try:
            made, cut = taken(future.result())
        except KilledWorker as error:
            raise BadInput(
                f"--cluster: {future.key} ended every worker it ran on; nothing was written"
            ) from error
        order.done(made.index)
        yield made, cut


def _client(address: str, stack: ExitStack) -> Any:
    try:
        import distributed
    except ImportError as error:
        raise Unsupported(
            "--cluster", "Dask is not installed", "pip install -r requirements-cluster.txt, or use --workers"
        ) from error
    if address.startswith("local:"):
        address = stack.enter_context(
            distributed.LocalCluster(
                n_workers=int(address.partition(":")[2]), threads_per_worker=1, dashboard_address=None,
                silence_logs=logging.ERROR,
            )
        )  # fmt: skip
    try:
        client = stack.enter_context(distributed.Client(address, timeout=PATIENCE_S))
        client.wait_for_workers(1, timeout=PATIENCE_S)
    except (OSError, TimeoutError) as error:
        where = address if isinstance(address, str) else "local"
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadInput(
            f"--cluster {where}: no scheduler with workers answered in {PATIENCE_S} s ({reason}); start "
            "`dask scheduler` and, in this folder, `dask worker`"
        ) from error
    return client
