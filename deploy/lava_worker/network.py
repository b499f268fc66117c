"""The Lava processes of a program, or of a `.net` file loaded by netx."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from aligned import GRADED, STATES
from job import Job, Json
from lava.magma.core.process.ports.ports import OutPort
from lava.proc.dense.process import Dense
from lava.proc.io.source import RingBuffer
from lava.proc.sdn.process import Sigma
from neurons import Neurons, neurons
from synapses import connect, connect_floating, hop


class Network:
    """One process a population of neurons, one or two a projection; several programs may lie side by side."""

    def __init__(self, job: Job) -> None:
        self.job = job
        with np.load(job.folder / "program.npz", allow_pickle=False) as file:
            self.arrays = {name: file[name] for name in file.files}
        body = json.loads(self.arrays.pop("graph.json").tobytes())
        self.populations: dict[str, Json] = body["populations"]
        self.lines: dict[str, list[OutPort]] = {}
        self.neurons: dict[str, Neurons] = {}
        for name, population in self.populations.items():
            self._add_population(name, population)
        for projection in body["projections"]:
            self._add_projection(projection)
        self._join(body["projections"])
        self.any: Any = next(iter(self.neurons.values())).process

    def _whole(self, packed: Json) -> Json:
        return {k: self.arrays[v["array"]] if isinstance(v, dict) else v for k, v in packed.items()}

    def _add_population(self, name: str, population: Json) -> None:
        model, shape = self._whole(population["model"]), tuple(population["shape"])
        if model["type"] == "Input":
            self.lines[name] = [self.job.source(name).s_out]
            return
        made = neurons(model, shape, self.job.latency(name), self.job.floating)
        size = int(np.prod(shape))
        made.process.proc_params["window"] = self.job.window(
            name, size, STATES[type(made.process)], binary=not made.bits, result=made.result
        )
        self.neurons[name], self.lines[name] = made, [made.process.s_out]

    def _bits(self, src: str) -> int:
        """Bits of a message, 0 for spikes."""
        if src in self.neurons:
            return self.neurons[src].bits
        model = self.populations[src]["model"]
        return int(model["bits"]) if model["operand"] == "graded" else 0

    def _delayed(self, src: str, delay: int) -> OutPort:
        """What leaves `src`, `delay` chip steps later; the line is made as long as asked, once."""
        line = self.lines[src]
        while len(line) <= delay:
            line.append(hop(line[-1], self._bits(src)))
        return line[delay]

    def _add_projection(self, p: Json) -> None:
        w, latency, bits = self._whole(p["weights"]), self.job.latency, self._bits(p["src"])
        delay = latency(p["dst"]) - latency(p["src"]) - 1 + p["delay"]
        into = self.neurons[p["dst"]].ports[p.get("port", "a")]
        if self.job.floating:
            connect_floating(p, w, self._delayed(p["src"], delay), into, bits)
            return
        inside = self.job.request["delays"] == "synapse" and w["type"] != "ConvWeights"
        out = self.lines[p["src"]][0] if inside else self._delayed(p["src"], delay)
        connect(p, w, out, into, bits, 1 << max(bits - 1, 0), delay if inside else 0)

    def _join(self, projections: list[Json]) -> None:
        """Lava runs what hangs together: programs that do not are joined by synapses of weight 0."""
        part = {name: name for name in self.populations}
        for p in projections:
            old, new = part[p["dst"]], part[p["src"]]
            part = {name: new if at == old else at for name, at in part.items()}
        first = {part[name]: name for name in reversed(self.neurons)}
        if len(first) < 2:
            return
        hub = RingBuffer(data=np.zeros((1, self.job.chip_steps), np.int32))
        for name in first.values():
            port = next(iter(self.neurons[name].ports.values()))
            silent = Dense(weights=np.zeros((port.shape[0], 1), int))
            hub.s_out.connect(silent.s_in)
            silent.a_out.connect(port)


def netx(job: Job) -> Any:
    """Load `network.net` with lava-dl's own netx, feed its input, record every layer; the last neuron."""
    from lava.lib.dl.netx.hdf5 import Network as NetxNetwork  # needs torch: seconds, and this mode alone

    net = NetxNetwork(net_config=str(job.folder / "network.net"))
    names = job.request["layers"]
    if len(net.layers) != len(names):
        raise ValueError(f"netx made {len(net.layers)} layers of the {len(names)} in the file: {names}")
    for name, layer in zip(names, net.layers):  # noqa: B905 - lengths compared above
        deep, size = len(layer.shape) == 3, int(np.prod(layer.shape))
        kind = type(layer.neuron)
        result = "sigma" if kind is Sigma else None
        layer.neuron.proc_params["window"] = job.window(
            name, size, STATES[kind], kind not in GRADED, result, channels_last=deep
        )
    (name,) = job.inputs
    shape = net.inp.shape[::-1] if len(net.inp.shape) == 3 else None
    job.source(name, shape).s_out.connect(net.inp)
    return net
