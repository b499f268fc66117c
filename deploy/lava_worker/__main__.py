"""The Lava worker: builds and runs real Lava processes under Python 3.10. Imports nothing of ours.

    python -I deploy/lava_worker FOLDER

Files in, files out. FOLDER holds
  request.json   {"mode": "program" | "net", "period": P, "latency": {population: steps},
                  "delays": "line" | "synapse", "states": bool, "float": bool}; for "net" also "layers": names
                  in the order of the file
  program.npz    the program (format below), or `network.net` for netx
  input.npz      one int array [T, N, size] per input population, encoded ("net": one, layout C, H, W)
and the worker adds `result.npz`, whole or not at all: `raster/<population>` [N, T, size], aligned, uint8 for
binary spikes, int64 for other messages; `v/<readout>` int64 [N, size], its value after the last aligned step;
with "states" also `state/<population>/<name>` [N, T, size], under Lava's names; `wall_s`. It prints a JSON
line a sample, {"done": n, "of": N}. It kills its whole process group when its standard input closes.

program.npz (version 2; no pickle): `graph.json` holds UTF-8 bytes; "populations" maps a name to {"shape",
"latency", "model": {"type", fields}}, "projections" is a list of {"name", "src", "dst", "port", "exp",
"delay", "bits", "weights": {"type": Dense- | Sparse- | ConvWeights, fields}}, and a field that is an array is
{"array": member of the npz}.

Time. All samples are one Lava run: sample n begins at chip step n P, its aligned step t is chip step
n P + latency + t, and P exceeds T by the longest aligned delay, so that every spike has arrived before the
next sample. Neurons are Lava's own models, held at rest outside their window (`aligned`): this resets state
between samples and starts each bias with the layer's input. Lava's own way, `Var.set` between runs, moves
every value through three channels one by one: 20 s a sample for 100,000 values.

A delay of D chip steps is a line of D identity synapses shared by all projections that leave a source:
DelayDense and DelaySparse expand their delay matrix anew at every step. "delays": "synapse" builds those.

"float" runs Lava's floating-point LIFRefractory, which has no fixed-point twin: for conformance alone, with
decays and values that floats hold exactly.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
from aligned import FIXED, FLOATING
from job import Job
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from network import Network, netx

_LOCK = threading.Lock()  # held while the watcher looks at Lava's processes


def run(folder: Path) -> None:
    """Build, run every sample, write `result.npz`."""
    job = Job(folder)
    lava: Any = Network(job).any if job.request["mode"] == "program" else netx(job)
    try:
        start = _advance(lava, job, over := threading.Event())
    except RuntimeError as error:
        raise _cause(lava) or error from error
    with _LOCK:
        over.set()
    lava.stop()
    result = {name: np.load(path) for name, path in job.kept.items()}
    draft = folder / "draft.npz"
    np.savez(draft, wall_s=np.float64(time.perf_counter() - start), **result)
    os.replace(draft, folder / "result.npz")


def _advance(lava: Any, job: Job, over: threading.Event) -> float:
    """Run all chip steps, say each sample done; returns when the first step, with compiling, was over."""
    kind, models = ("floating_pt", FLOATING) if job.floating else ("fixed_pt", FIXED)
    config = Loihi2SimCfg(select_tag=kind, exception_proc_model_map=dict(models))
    lava.run(condition=RunSteps(num_steps=1), run_cfg=config)
    start = time.perf_counter()
    threading.Thread(target=_watch, args=(over,), daemon=True).start()
    gone = 1
    for n in range(1, job.samples + 1):
        until = n * job.period + (job.tail if n == job.samples else 0)
        if until > gone:
            lava.run(condition=RunSteps(num_steps=until - gone), run_cfg=config)
        gone = until
        print(json.dumps({"done": n, "of": job.samples}), flush=True)
    return start


def _cause(lava: Any) -> Exception | None:
    """The error of the Lava process that failed: Lava itself says only how many did."""
    for actor in lava.runtime._messaging_infrastructure.actors:
        if actor.exception:
            return actor.exception[0]
    return None


def _watch(over: threading.Event) -> None:
    """End with an error when a Lava process is killed (out of memory, say): Lava would wait for ever.

    Only until `over`: Lava then joins its processes itself, and two who wait for one process disagree.
    """
    children = multiprocessing.active_children()
    while not over.wait(1.0):
        with _LOCK:
            killed = [] if over.is_set() else [c.exitcode for c in children if (c.exitcode or 0) < 0]
        if killed:
            _fail(f"one of Lava's {len(children)} processes was killed by signal {-killed[0]}")


def _fail(message: str) -> None:
    """Say why on the last line, end Lava's processes and leave; its threads may still wait for a dead one."""
    print(f"lava worker: {message}", file=sys.stderr, flush=True)
    for child in multiprocessing.active_children():
        child.terminate()
    os._exit(1)


def _die_with_parent() -> None:
    os.read(0, 1)  # returns when the parent closes the pipe, or dies
    os.killpg(0, signal.SIGTERM)


def main() -> None:
    """Run the folder named on the command line; on failure the last line says the error."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        run(Path(sys.argv[1]))
    except Exception as error:
        traceback.print_exc()
        _fail(f"{type(error).__name__}: {error}")
    os._exit(0)


if __name__ == "__main__":
    if os.getpgid(0) != os.getpid():
        os.setpgid(0, 0)  # we end our whole process group: it must be ours
    main()
