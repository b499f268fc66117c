"""The Lava worker: builds and runs real Lava processes under Python 3.10. Imports nothing of ours.

    python -I deploy/lava_worker.py FOLDER

Files in, files out. FOLDER holds
  request.json   {"mode": "program" | "net", "period": P, "latency": {population: steps},
                  "delays": "line" | "synapse"}; for "net" also "layers": names in the order of the file
  program.npz    the program (format below), or `network.net` for netx
  input.npz      one int array [T, N, size] per input population, encoded ("net": one, layout C, H, W)
and the worker adds `result.npz`, whole or not at all: `raster/<population>` uint8 [N, T, size], aligned;
`v/<readout>` int64 [N, size] after the last aligned step; `wall_s`. It prints a JSON line a sample,
{"done": n, "of": N}. It kills its whole process group when its standard input closes: no orphans.

program.npz (version 1; no pickle): `graph.json` holds UTF-8 bytes; "populations" maps a name to {"shape",
"latency", "model": {"type": Input | LoihiLIF | LoihiIntegrator, fields}}, "projections" is a list of {"name",
"src", "dst", "exp", "delay", "bits", "weights": {"type": Dense- | Sparse- | ConvWeights, fields}}, and a
field that is an array is {"array": member of the npz}.

Time. All samples are one Lava run: sample n begins at chip step n P, its aligned step t is chip step
n P + latency + t, and P exceeds T by the longest aligned delay, so that every spike has arrived before the
next sample. `AlignedLif` is Lava's own bit-accurate LIF, held at rest outside its window [0, T): this resets
state between samples and starts each bias with the layer's input. Lava's own way, `Var.set` between runs,
moves every value through three channels one by one: 20 s a sample for 100,000 values.

A delay of D chip steps is a line of D identity synapses shared by all projections that leave a source:
DelayDense and DelaySparse expand their delay matrix anew at every step. "delays": "synapse" builds those.
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
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.resources import CPU
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.process import Conv
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.io.source import RingBuffer
from lava.proc.lif.models import PyLifModelBitAcc
from lava.proc.lif.process import LIF
from lava.proc.sparse.process import DelaySparse, Sparse
from lava.utils.weightutils import SignMode
from scipy import sparse

MIXED_BITS = 9  # Lava holds mixed-sign weights of b bits in the upper b of 9 bits
CONV_WRAP = 1 << 23  # Lava's Conv wraps sums to 24 bits; a larger one is built as Sparse, which does not
Json = dict[str, Any]


@implements(proc=LIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class AlignedLif(PyLifModelBitAcc):
    """Lava's fixed-point LIF, run inside its window of aligned steps, at rest outside, and recorded.

    Parameter "window": {"steps": T, "samples": N, "period": P, "latency": chip steps, "raster": file or
    None, "v": file or None, "channels_last": bool}; the files are npy memory maps [N, T, size] and [N, size].
    """

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.window: Json = proc_params["window"]
        self.files: dict[str, np.ndarray] = {}

    def run_spk(self) -> None:
        w = self.window
        sample, step = divmod(self.time_step - 1 - w["latency"], w["period"])
        if not (0 <= sample < w["samples"] and step < w["steps"]):
            self.a_in.recv()  # nothing of ours is on its way now: the sources were silent
            self.s_out.send(np.zeros(self.v.shape, np.int32))
            return
        if step == 0:
            self.u[:] = 0
            self.v[:] = 0
        super().run_spk()
        self._keep("raster", (sample, step), self.s_out_buff)
        if step == w["steps"] - 1:
            self._keep("v", sample, self.v)

    def _keep(self, kind: str, where: Any, value: np.ndarray) -> None:
        path = self.window[kind]
        if path is None:
            return
        if kind not in self.files:  # opened here, in Lava's child process
            self.files[kind] = np.load(path, mmap_mode="r+")
        if self.window["channels_last"]:
            value = value.transpose(2, 1, 0)  # (W, H, C), as netx has it, to (C, H, W)
        self.files[kind][where] = value.reshape(-1)


class Job:
    """One request: its folder, what is asked, the input of each source and where results are kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.request: Json = json.loads((folder / "request.json").read_text())
        with np.load(folder / "input.npz", allow_pickle=False) as file:
            self.inputs = {name: file[name] for name in file.files}
        self.steps, self.samples = next(iter(self.inputs.values())).shape[:2]
        self.period: int = self.request["period"]
        self.kept: dict[str, Path] = {}

    def latency(self, name: str) -> int:
        return int(self.request["latency"][name])

    @property
    def tail(self) -> int:
        """Chip steps after the last sample's period until its last aligned step has passed everywhere."""
        return max(self.request["latency"].values())

    def window(self, name: str, size: int, raster: bool, v: bool, channels_last: bool = False) -> Json:
        """Parameter of an AlignedLif; makes the files it keeps its spikes and v in."""
        here: Json = {
            "steps": self.steps, "samples": self.samples, "period": self.period,
            "latency": self.latency(name), "raster": None, "v": None, "channels_last": channels_last,
        }  # fmt: skip
        if raster:
            here["raster"] = self._keep(f"raster/{name}", (self.samples, self.steps, size), np.uint8)
        if v:
            here["v"] = self._keep(f"v/{name}", (self.samples, size), np.int64)
        return here

    def _keep(self, name: str, shape: tuple[int, ...], dtype: type) -> str:
        path = self.folder / f"kept{len(self.kept)}.npy"
        np.lib.format.open_memmap(path, "w+", dtype, shape).flush()
        self.kept[name] = path
        return str(path)

    def source(self, name: str, shape: tuple[int, ...] | None = None) -> RingBuffer:
        """The stimulus of one input for the whole run, silent between samples. shape: (C, H, W) for netx."""
        x = self.inputs[name]
        total = self.samples * self.period + self.tail
        stimulus = np.zeros((x.shape[2], total), np.int32)
        for n in range(self.samples):
            start = n * self.period + self.latency(name)
            stimulus[:, start : start + self.steps] = x[:, n].T
        if shape is not None:
            stimulus = stimulus.reshape(*shape, total).transpose(2, 1, 0, 3)
        return RingBuffer(data=stimulus)


class Network:
    """Lava processes of a program: one LIF a population, one synapse process a projection."""

    def __init__(self, job: Job) -> None:
        self.job = job
        with np.load(job.folder / "program.npz", allow_pickle=False) as file:
            self.arrays = {name: file[name] for name in file.files}
        body = json.loads(self.arrays.pop("graph.json").tobytes())
        self.populations: dict[str, Json] = body["populations"]
        self.lines: dict[str, list[OutPort]] = {}
        self.a_in: dict[str, InPort] = {}
        self.any: Any = None
        for name, population in self.populations.items():
            self._add_population(name, population)
        for projection in body["projections"]:
            self._add_projection(projection)

    def _add_population(self, name: str, population: Json) -> None:
        model, size = population["model"], int(np.prod(population["shape"]))
        if model["type"] == "Input":
            self.lines[name] = [self.job.source(name).s_out]
            return
        readout = model["type"] == "LoihiIntegrator"
        bias = model["bias_mant"]
        if bias is not None:
            bias = self.arrays[bias["array"]]
            bias = bias if bias.size == size else np.broadcast_to(bias, population["shape"])
            bias = bias.reshape(-1).astype(np.int16)
        lif = LIF(
            shape=(size,), du=model["du"], dv=model["dv"], vth=model["vth"],
            bias_mant=0 if bias is None else bias, bias_exp=model["bias_exp"],
            window=self.job.window(name, size, raster=not readout, v=readout),
        )  # fmt: skip
        self.any, self.a_in[name], self.lines[name] = lif, lif.a_in, [lif.s_out]

    def _message_bits(self, src: str) -> int:
        model = self.populations[src]["model"]
        return int(model["bits"]) if model.get("operand") == "graded" else 0

    def _delayed(self, src: str, delay: int) -> OutPort:
        """What leaves `src`, `delay` chip steps later; the line is made as long as asked, once."""
        line = self.lines[src]
        while len(line) <= delay:
            hop = Sparse(
                weights=sparse.identity(line[0].shape[0], np.int32, format="csr"), num_weight_bits=8,
                sign_mode=SignMode.EXCITATORY, num_message_bits=self._message_bits(src),
            )  # fmt: skip
            line[-1].connect(hop.s_in)
            line.append(hop.a_out)
        return line[delay]

    def _add_projection(self, p: Json) -> None:
        """Mantissas M of b bits: weights M << (9 - b), exponent exp - (9 - b); the same product exactly."""
        up = MIXED_BITS - p["bits"]
        latency = self.job.latency
        delay = latency(p["dst"]) - latency(p["src"]) - 1 + p["delay"]
        how: Json = {
            "weight_exp": p["exp"] - up, "num_weight_bits": p["bits"], "sign_mode": SignMode.MIXED,
            "num_message_bits": self._message_bits(p["src"]),
        }  # fmt: skip
        w = {k: self.arrays[v["array"]] if isinstance(v, dict) else v for k, v in p["weights"].items()}
        out = self.lines[p["src"]][0] if self._in_synapse(w, delay) else self._delayed(p["src"], delay)
        if w["type"] == "ConvWeights":
            self._convolve(w, p, how, out)
            return
        matrix = _matrix(w, up)
        if self._in_synapse(w, delay):
            kind: Any = DelayDense if isinstance(matrix, np.ndarray) else DelaySparse
            late = (matrix != 0).astype(int) * delay
            synapse = kind(weights=matrix, delays=late, max_delay=delay, **how)
        else:
            synapse = (Dense if isinstance(matrix, np.ndarray) else Sparse)(weights=matrix, **how)
        out.connect(synapse.s_in)
        synapse.a_out.connect(self.a_in[p["dst"]])

    def _in_synapse(self, w: Json, delay: int) -> bool:
        return self.job.request["delays"] == "synapse" and delay > 0 and w["type"] != "ConvWeights"

    def _convolve(self, w: Json, p: Json, how: Json, out: OutPort) -> None:
        """Lava's Conv knows neither exponent nor delay and wraps at 24 bits; where that shows, Sparse."""
        reach = int(np.abs(w["kernel"].astype(np.int64)).sum(axis=(1, 2, 3)).max()) << max(p["exp"], 0)
        if how["num_message_bits"]:
            reach <<= how["num_message_bits"]
        if p["exp"] < 0 or reach >= CONV_WRAP:
            synapse = Sparse(weights=_unrolled(w, MIXED_BITS - p["bits"]), **how)
            out.connect(synapse.s_in)
            synapse.a_out.connect(self.a_in[p["dst"]])
            return
        kernel = w["kernel"].astype(np.int32) << p["exp"]
        conv = Conv(
            # Lava convolves truly (flipped) on (W, H, C) with weights (out, W, H, in / groups)
            weight=np.ascontiguousarray(kernel[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)),
            input_shape=tuple(w["in_shape"][::-1]), stride=tuple(w["stride"][::-1]), groups=int(w["groups"]),
            padding=tuple(w["padding"][::-1]), dilation=tuple(w["dilation"][::-1]),
            num_message_bits=how["num_message_bits"],
        )  # fmt: skip
        out.reshape(tuple(w["in_shape"])).transpose([2, 1, 0]).connect(conv.s_in)
        conv.a_out.transpose([2, 1, 0]).flatten().connect(self.a_in[p["dst"]])


def _matrix(w: Json, up: int) -> Any:
    if w["type"] == "DenseWeights":
        return w["matrix"].astype(np.int32) << up
    values = w["values"].astype(np.int32) << up
    return sparse.csc_matrix((values, w["rows"], w["starts"]), shape=tuple(w["shape"])).tocsr()


def _unrolled(w: Json, up: int) -> sparse.csr_matrix:
    """A convolution as a matrix [out, in], both in (C, H, W) order."""
    kernel, (_, high, wide) = w["kernel"].astype(np.int32) << up, w["in_shape"]
    o, c, p, q = (a.reshape(-1) for a in np.indices(kernel.shape))
    oy, ox = (a.reshape(-1, 1) for a in np.indices(w["out_shape"][1:]))
    y = oy * w["stride"][0] + p * w["dilation"][0] - w["padding"][0]
    x = ox * w["stride"][1] + q * w["dilation"][1] - w["padding"][1]
    inside = (y >= 0) & (y < high) & (x >= 0) & (x < wide)
    channel = c + o // (kernel.shape[0] // w["groups"]) * kernel.shape[1]
    target = (o * w["out_shape"][1] + oy) * w["out_shape"][2] + ox
    source = (channel * high + y) * wide + x
    value = np.broadcast_to(kernel.reshape(-1), target.shape)
    size = int(np.prod(w["out_shape"])), int(np.prod(w["in_shape"]))
    return sparse.csr_matrix((value[inside], (target[inside], source[inside])), shape=size)


def netx(job: Job) -> Any:
    """Load `network.net` with lava-dl's own netx, feed its input, record every layer; the last neuron."""
    from lava.lib.dl.netx.hdf5 import Network as NetxNetwork  # needs torch: seconds, and this mode alone

    net = NetxNetwork(net_config=str(job.folder / "network.net"))
    names = job.request["layers"]
    if len(net.layers) != len(names):
        raise ValueError(f"netx made {len(net.layers)} layers of the {len(names)} in the file: {names}")
    for name, layer in zip(names, net.layers):  # noqa: B905 - lengths compared above
        deep = len(layer.shape) == 3
        layer.neuron.proc_params["window"] = job.window(name, int(np.prod(layer.shape)), True, False, deep)
    (name,) = job.inputs
    shape = net.inp.shape[::-1] if len(net.inp.shape) == 3 else None
    job.source(name, shape).s_out.connect(net.inp)
    return net


def run(folder: Path) -> None:
    """Build, run every sample, write `result.npz`."""
    job = Job(folder)
    lava: Any = Network(job).any if job.request["mode"] == "program" else netx(job)
    try:
        start = _advance(lava, job)
    except RuntimeError as error:
        raise _cause(lava) or error from error
    lava.stop()
    result = {name: np.load(path) for name, path in job.kept.items()}
    draft = folder / "draft.npz"
    np.savez(draft, wall_s=np.float64(time.perf_counter() - start), **result)
    os.replace(draft, folder / "result.npz")


def _advance(lava: Any, job: Job) -> float:
    """Run all chip steps, say each sample done; returns when the first step, with compiling, was over."""
    config = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map={LIF: AlignedLif})
    lava.run(condition=RunSteps(num_steps=1), run_cfg=config)
    start = time.perf_counter()
    threading.Thread(target=_watch, daemon=True).start()
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


def _watch() -> None:
    """End with an error when a Lava process is killed (out of memory, say): Lava would wait for ever."""
    children = multiprocessing.active_children()
    while True:
        time.sleep(1.0)
        try:
            killed = [c.exitcode for c in children if c.exitcode is not None and c.exitcode < 0]
        except ValueError:  # closed: the run is over
            return
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
