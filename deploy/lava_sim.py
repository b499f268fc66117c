"""Target `lava`: the archived Lava package itself, run by `lava_worker` under its own Python 3.10.

Every `run` starts one worker process, hands it files and takes files back; Lava compiles its network each
time (a few seconds), then all samples pass through one compiled network. The worker and all of Lava's
processes are one process group, ended when the run ends, fails, falls silent for too long or we die.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, final

import numpy as np

from convert.ir import BadInput, BasaltError, Program, Unsupported, save_program
from convert.net_lint import lint
from convert.net_reader import read_net
from deploy.lava_env import lava_missing, lava_python
from deploy.lava_limits import limits, observed
from deploy.record import Record
from deploy.target import Model, Runner, Target, check_input, told

WORKER = Path(__file__).with_name("lava_worker")
SILENCE_S = 900.0  # no sample finished for so long: the worker hangs. The largest network takes 25 s to start
PATIENCE_S = 3.0  # between asking and forcing the worker's processes to end
Progress = Callable[[int, int], None]
Arrays = dict[str, np.ndarray]


class LavaError(BasaltError, RuntimeError):
    """The Lava worker failed; the message ends with the last line of its own error."""

    exit_code = 6


def request(program: Program, steps: int, delays: str) -> dict[str, Any]:
    """What the worker is asked; the period leaves room for the longest aligned delay (see lava_worker)."""
    period = steps + max((p.delay for p in program.projections), default=0)
    latency = {name: p.latency for name, p in program.populations.items()}
    return {"mode": "program", "delays": delays, "period": period, "latency": latency}


def work(
    asked: Mapping[str, Any],
    fill: Callable[[Path], None],
    inputs: Arrays,
    progress: Progress | None = None,
    silence_s: float = SILENCE_S,
) -> Arrays:
    """Run the worker on a folder of its own: `fill` puts the model there; returns the result's arrays."""
    missing, python = lava_missing(), lava_python()
    if missing or python is None:
        raise Unsupported("lava", missing or "no interpreter", "or choose another target")
    with tempfile.TemporaryDirectory(prefix="basalt-lava-") as name:
        folder = Path(name)
        fill(folder)
        np.savez(folder / "input.npz", **inputs)  # type: ignore[arg-type]
        (folder / "request.json").write_text(json.dumps(dict(asked)))
        with (folder / "stderr").open("wb") as errors:
            code = _run(python, folder, errors, progress, silence_s)
        result = folder / "result.npz"
        if code or not result.is_file():
            raise LavaError(f"lava: {_last_line(folder / 'stderr', code)}; run it again or use loihi-sim")
        with np.load(result, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}


def _run(python: Path, folder: Path, errors: Any, progress: Progress | None, silence_s: float) -> int:
    worker = subprocess.Popen(
        [str(python), "-I", str(WORKER), str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True,
    )  # fmt: skip
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_read, args=(worker.stdout, lines), daemon=True).start()
    try:
        while (line := lines.get(timeout=silence_s)) is not None:
            _report(line, progress)
        return worker.wait(timeout=60)
    except (queue.Empty, subprocess.TimeoutExpired):
        raise LavaError(
            f"lava: the worker was silent for {silence_s:g} s and was ended; use loihi-sim"
        ) from None
    finally:
        _end(worker)


def _read(stdout: Any, lines: queue.Queue[str | None]) -> None:
    for line in stdout:
        lines.put(line)
    lines.put(None)


def _report(line: str, progress: Progress | None) -> None:
    """Pass on a line of progress; Lava prints other lines of its own, which are not for us."""
    if progress is None or not line.startswith('{"done"'):
        return
    said = json.loads(line)
    progress(said["done"], said["of"])


def _end(worker: subprocess.Popen[str]) -> None:
    """End the worker's process group: politely first, so that shared memory is given back."""
    for way in (signal.SIGTERM, signal.SIGKILL):
        if not _signal(worker, way):
            break
        until = time.monotonic() + PATIENCE_S
        while _signal(worker, 0) and time.monotonic() < until:
            worker.poll()  # reaps it, if it is over
            time.sleep(0.05)
    worker.wait()
    for stream in (worker.stdin, worker.stdout):
        if stream is not None:
            stream.close()


def _signal(worker: subprocess.Popen[str], number: int) -> bool:
    """Send to the whole group; False if nobody is left in it."""
    try:
        os.killpg(worker.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _last_line(errors: Path, code: int) -> str:
    lines = [line.strip() for line in errors.read_text(errors="replace").splitlines() if line.strip()]
    said = [line for line in lines if line.startswith("lava worker: ")] or lines[-1:]
    return (
        said[-1].removeprefix("lava worker: ")
        if said
        else f"the worker ended with code {code} and said nothing"
    )


class LavaRunner(Runner):
    """A program for Lava. `delays`: how the worker builds them, 'line' or 'synapse' (see lava_worker);
    `net`: let netx build the network from this file, which holds the program."""

    def __init__(
        self,
        program: Program,
        progress: Progress | None = None,
        delays: str = "line",
        net: Path | None = None,
    ) -> None:
        self.program, self.progress, self.delays, self.net = program, progress, delays, net

    def run(self, x: np.ndarray, rasters: Collection[str] = ()) -> Record:
        """x: [T, N, *shape] of the program's one input."""
        (source,) = self.program.inputs()
        population = self.program.populations[source]
        encoded = population.model.encode(check_input(x, population.shape))  # type: ignore[union-attr]
        for name in rasters:
            if name not in self.program.populations:
                raise BadInput(
                    f"raster of {name!r} asked for; the program has {', '.join(self.program.populations)}"
                )
        _refuse(limits(self.program, len(x)))
        flat = encoded.reshape(*encoded.shape[:2], -1)
        asked = request(self.program, len(x), self.delays)
        if self.net is not None:
            asked |= {"mode": "net", "layers": self.program.neurons()}
        got = work(asked, self._fill, {source: flat}, self.progress)
        sent = {n: a.swapaxes(0, 1) for n, a in _named(got, "raster/").items()}
        _refuse(limits(self.program, len(x), observed(self.program, sent)))
        return self._record(got, encoded, source, rasters)

    def _fill(self, folder: Path) -> None:
        if self.net is not None:
            shutil.copyfile(self.net, folder / "network.net")
        else:
            save_program(folder / "program.npz", self.program)

    def _record(self, got: Arrays, encoded: np.ndarray, source: str, rasters: Collection[str]) -> Record:
        counts: Arrays = {}
        outputs: Arrays = {}
        kept: Arrays = {source: encoded} if source in rasters else {}
        for name, population in self.program.populations.items():
            samples = (encoded.shape[1], *population.shape)
            if f"v/{name}" in got:
                outputs[name] = got[f"v/{name}"].reshape(samples)
            elif name != source:
                raster = got[f"raster/{name}"]
                counts[name] = np.count_nonzero(raster, axis=1).astype(np.int64).reshape(samples)
                outputs[name] = raster.sum(axis=1, dtype=np.int64).reshape(samples)
                if name in rasters:
                    kept[name] = raster.swapaxes(0, 1).reshape(len(encoded), *samples)
        chosen = {n: outputs[n] for n in self.program.outputs}
        return Record(chosen, counts, len(encoded), kept, float(got["wall_s"]))


def _named(got: Arrays, prefix: str) -> Arrays:
    """The arrays of one kind, by population."""
    return {name.removeprefix(prefix): a for name, a in got.items() if name.startswith(prefix)}


def _refuse(reasons: list[str]) -> None:
    if reasons:
        raise Unsupported("lava", told(reasons), "use loihi-sim, or quantise with smaller weights")


@final
class LavaSim(Target):
    """Lava's fixed-point processes on the CPU."""

    name, exact, takes = "lava", True, ("program",)
    what = "the archived Lava package, fixed point, in its own Python 3.10 (make lava); slow"

    def __init__(self, progress: Progress | None = None) -> None:
        self.progress = progress

    def available(self) -> str | None:
        return lava_missing()

    def supports(self, model: Model) -> list[str]:
        if not isinstance(model, Program):
            return ["Lava runs programs; lower the graph first"]
        return limits(model)

    def compile(self, model: Model) -> Runner:
        if not isinstance(model, Program):
            raise Unsupported("lava", "Lava runs programs", "lower the graph first")
        _refuse(limits(model))
        return LavaRunner(model, self.progress)


def net_runner(path: Path, progress: Progress | None = None) -> Runner:
    """A `.net` file loaded by lava-dl's own netx and run in fixed point; layers are named `layer<i>`."""
    program = read_net(path)
    if wrong := [str(f) for f in lint(path) if f.severity == "error"]:
        raise Unsupported(
            path.name, wrong[0], "use loihi-sim on the program, which runs it as it was trained"
        )
    if reasons := limits(program):
        raise Unsupported(path.name, told(reasons), "use loihi-sim on the program")
    return LavaRunner(program, progress, net=path)
