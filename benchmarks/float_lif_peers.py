"""One peer simulator on one float LIF network; `benchmarks.float_lif_vs_peers` runs it, in its own Python.

    python float_lif_peers.py PEER FOLDER

FOLDER/network.npz holds w0, w1, ... float32 [out, in] of a chain, spikes uint8 [T, in], threshold, decay and
repeats; FOLDER/PEER.npz takes `seconds` of the fastest run (building, compiling and the first run left out)
and the spikes of the last layer [T, out], in aligned steps.

    v = (1 - decay) v + W s;   s = v > threshold;   v = 0 where s

Imports nothing of ours: the peers want Python environments of their own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Answer = tuple[float, np.ndarray]


def fastest(run: Callable[[], np.ndarray], repeats: int) -> Answer:
    """Seconds of the fastest run after one that is not counted, and what it gave."""
    run()
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        spikes = run()
        found.append(time.perf_counter() - start)
    return min(found), np.asarray(spikes, np.uint8)


def spikingjelly(weights, spikes, threshold, decay, repeats) -> Answer:
    """Multi-step layers: one matrix product for all steps, then the neuron over the steps."""
    import torch
    from spikingjelly.activation_based import functional, layer, neuron

    torch.set_num_threads(1)
    parts = []
    for w in weights:
        linear = layer.Linear(w.shape[1], w.shape[0], bias=False, step_mode="m")
        linear.weight.data = torch.from_numpy(w)
        # its neuron fires at v >= threshold: half of the least difference there is makes that strict
        parts += [linear, neuron.LIFNode(1 / decay, False, threshold + 2.0**-14, 0.0, step_mode="m")]
    net, x = torch.nn.Sequential(*parts).eval(), torch.from_numpy(spikes.astype(np.float32))[:, None]

    def run() -> np.ndarray:
        functional.reset_net(net)
        with torch.inference_mode():
            return net(x)[:, 0].numpy()

    return fastest(run, repeats)


def snntorch(weights, spikes, threshold, decay, repeats) -> Answer:
    """Step by step, as its documentation does it; the products of the first layer for all steps at once."""
    import snntorch as snn
    import torch

    torch.set_num_threads(1)
    neurons = [
        snn.Leaky(1 - decay, threshold=threshold, reset_mechanism="zero", reset_delay=False) for _ in weights
    ]
    matrices, x = [torch.from_numpy(w.T.copy()) for w in weights], torch.from_numpy(spikes.astype(np.float32))

    def run() -> np.ndarray:
        with torch.inference_mode():
            currents, states, last = x @ matrices[0], [n.reset_mem() for n in neurons], []
            for t in range(len(x)):
                sent, states[0] = neurons[0](currents[t : t + 1], states[0])
                for k in range(1, len(neurons)):
                    sent, states[k] = neurons[k](sent @ matrices[k], states[k])
                last.append(sent)
            return torch.cat(last).numpy()

    return fastest(run, repeats)


def nengo(weights, spikes, threshold, decay, repeats) -> Answer:
    """Nengo's core (numpy), with this neuron as a neuron type of its own; spikes pass within a step."""
    import nengo as ng

    class Lif(ng.neurons.NeuronType):
        state = {"voltage": ng.dists.Choice([0.0])}  # noqa: RUF012 - as nengo declares it
        negative = False

        def rates(self, x, gain, bias):
            return np.zeros((len(np.atleast_1d(x)), len(gain)))  # asked for when it is built, of no use here

        def max_rates_intercepts(self, gain, bias):
            return np.zeros(len(gain)), np.zeros(len(gain))

        def step(self, dt, J, output, voltage):
            voltage *= 1 - decay
            voltage += J
            output[...] = voltage > threshold
            voltage[voltage > threshold] = 0.0

    with ng.Network(seed=0) as net:
        steps = len(spikes)
        before = ng.Node(lambda t: spikes[min(steps - 1, round(t * 1000) - 1)], size_out=spikes.shape[1])
        for w in weights:
            layer = ng.Ensemble(len(w), 1, neuron_type=Lif(), gain=np.ones(len(w)), bias=np.zeros(len(w)))
            source = before if isinstance(before, ng.Node) else before.neurons
            ng.Connection(source, layer.neurons, transform=w.astype(np.float64), synapse=None)
            before = layer
        probe = ng.Probe(before.neurons)
    with ng.Simulator(net, dt=0.001, progress_bar=False, optimize=True) as simulator:

        def run() -> np.ndarray:
            simulator.reset()
            simulator.run_steps(steps)
            return np.asarray(simulator.data[probe])

        return fastest(run, repeats)


def _brian2(weights, spikes, threshold, decay, after) -> tuple:
    """The network: inputs, groups, synapses, the monitor of the last layer. A projection takes one step."""
    import brian2 as b

    b.defaultclock.dt = 1 * b.ms
    steps, sources = np.nonzero(spikes)
    groups = [b.SpikeGeneratorGroup(spikes.shape[1], sources, steps * b.ms)]
    parts = list(groups)
    names = {"keep": 1 - decay, "top": threshold}
    for w in weights:
        group = b.NeuronGroup(len(w), "v : 1\na : 1", threshold="v > top", reset="v = 0", namespace=names)
        update = group.run_regularly("v = keep * v + a\na = 0", when="groups")
        synapses = b.Synapses(groups[-1], group, "w : 1", on_pre="a_post += w")
        synapses.connect()
        synapses.w[:] = w.T.reshape(-1)
        groups.append(group)
        parts += [group, update, synapses]
    monitor = b.SpikeMonitor(groups[-1])
    return b.Network(*parts, monitor, *after), monitor, len(spikes) + len(weights)


def _raster(monitor, late: int, shape: tuple[int, int]) -> np.ndarray:
    import brian2 as b

    found = np.zeros((shape[0] + late, shape[1]), np.uint8)
    found[np.round(np.asarray(monitor.t / b.ms)).astype(int), np.asarray(monitor.i)] = 1
    return found[late:]


def _clock(ends: list[float]):
    import brian2 as b

    return b.NetworkOperation(lambda: ends.append(time.perf_counter()), when="end")


def brian2_cython(weights, spikes, threshold, decay, repeats) -> Answer:
    """Cython at run time; the clock is read at the end of the first step and of the last."""
    import brian2 as b

    b.prefs.codegen.target = "cython"
    seconds, raster = [], None
    for _ in range(max(2, repeats // 4)):
        ends: list[float] = []
        net, monitor, steps = _brian2(weights, spikes, threshold, decay, [_clock(ends)])
        net.run(steps * b.ms)
        seconds.append((ends[-1] - ends[0]) / (len(ends) - 1) * len(spikes))
        raster = _raster(monitor, len(weights), (len(spikes), len(weights[-1])))
    return min(seconds), raster


def brian2_cpp(weights, spikes, threshold, decay, repeats) -> Answer:
    """C++ standalone: the run time its own program reports, without building and loading."""
    import tempfile

    import brian2 as b

    b.prefs.devices.cpp_standalone.openmp_threads = 0
    b.set_device("cpp_standalone", build_on_run=False)
    net, monitor, steps = _brian2(weights, spikes, threshold, decay, [])
    net.run(steps * b.ms)
    with tempfile.TemporaryDirectory() as folder:
        b.device.build(directory=folder, compile=True, run=True, with_output=False)
        seconds = [b.device._last_run_time]
        for _ in range(repeats):
            b.device.run(folder, with_output=False)
            seconds.append(b.device._last_run_time)
        raster = _raster(monitor, len(weights), (len(spikes), len(weights[-1])))
    return min(seconds) * len(spikes) / steps, raster


PEERS = {
    "brian2-cpp": brian2_cpp, "brian2-cython": brian2_cython, "nengo": nengo,
    "spikingjelly": spikingjelly, "snntorch": snntorch,
}  # fmt: skip


def main() -> None:
    """Run the peer named on the command line."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    with np.load(folder / "network.npz") as file:
        weights = [file[f"w{k}"] for k in range(int(file["layers"]))]
        given = weights, file["spikes"], float(file["threshold"]), float(file["decay"]), int(file["repeats"])
    seconds, raster = PEERS[name](*given)
    np.savez(folder / f"{name}.npz", seconds=seconds, raster=raster)


if __name__ == "__main__":
    main()
