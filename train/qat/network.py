"""The integer graph as a torch module: the program's own spikes and readouts forward, gradients backward.

Every integer is held in a float wide enough for it (`layers`), every neuron steps in int64 (`kernels`): what
a forward gives is `==` what the reference, the simulators and Lava give for the same integers. Trained are
the float masters of weights and biases; thresholds, decays, exponents and the scale of the input stay.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from train.qat import layers, neurons
from train.qat.description import Description
from train.qat.errors import NotTrainable
from train.qat.host import Host
from train.qat.site import Site

RULES: dict[str, Callable[[Site], nn.Module]] = {
    "Input": layers.Encode,
    "Affine": layers.Affine,
    "ChannelMix": layers.ChannelMix,
    "StepConv": layers.StepConv,
    "GraphConv": layers.GraphConv,
    "Conv2d": layers.Conv2d,
    "ChannelScale": layers.ChannelScale,
    "Reshape": layers.Reshape,
    "Permute": layers.Permute,
    "Delay": layers.Delay,
    "Add": layers.Add,
    "SpikeMatMul": layers.SpikeMatMul,
    "SpikeAnd": layers.SpikeAnd,
    "LoihiLIF": neurons.IntegerLIF,
    "LoihiIntegrator": neurons.IntegerReadout,
}
"""Node type -> layer. One that is not here is refused."""

REMEDY = {
    "LoihiSigmaDelta": "fine-tune with --adjacency dense or prune:EPS, which need no relays",
}


class IntegerNetwork(nn.Module):
    """x [T, N, *shape] float -> scores [N, K] of the model's first output, in the float model's units.

    host: the float graph that runs on the CPU behind the spikes, where a chip cannot hold the model whole;
    the scores are then its. It stays as it is.
    """

    def __init__(
        self, description: Description, gradient: str = "sigmoid", host: Description | None = None
    ) -> None:
        super().__init__()
        self.description = description
        self.host = None if host is None else Host(host, gradient)
        self.inputs = {n: description.inputs(n) for n in description.nodes()}
        self.layers = nn.ModuleDict()
        for name, packed in description.nodes().items():
            self.layers[_key(name)] = self._layer(name, packed["type"], gradient)
        self.output = description.body["outputs"][0]
        last = self.layer(self.output)
        if not isinstance(last, neurons.IntegerLIF | neurons.IntegerReadout):
            raise NotTrainable(self.output, "is the output but no neuron", "end the model in a neuron")
        self.averaged = description.averaged(self.output)

    def _layer(self, name: str, kind: str, gradient: str) -> nn.Module:
        if kind not in RULES:
            remedy = REMEDY.get(kind, "deploy the run without fine-tuning")
            raise NotTrainable(name, f"{kind} has no rule for fine-tuning", remedy)
        d, before = self.description, self.inputs[name]
        peaks = tuple(self.layer(i).peak for i in before)
        shapes = tuple(tuple(d.shapes[i]) for i in before)
        return RULES[kind](Site(name, d.fields(name), peaks, shapes, tuple(d.shapes[name]), d, gradient))

    def layer(self, name: str) -> nn.Module:
        """The layer of a node."""
        return self.layers[_key(name)]

    def values(self, x: Tensor) -> dict[str, Tensor]:
        """What every node gives: integers, [T, N, *shape]; of a readout v after the last step [N, *shape]."""
        got: dict[str, Tensor] = {}
        for name, before in self.inputs.items():
            got[name] = self.layer(name)(*(got[i] for i in before) if before else (x,))
        return got

    def forward(self, x: Tensor) -> Tensor:
        got = self.values(x)
        if self.host is not None:
            fed = {n: got[n] if self.inputs.get(n) else x for n in self.host.inputs}
            return self.host.scores(fed).flatten(1).to(torch.float32)
        out, last = got[self.output], self.layer(self.output)
        # In float64: a membrane has 24 bits, its scores are differences of such.
        scores = out.sum(0) if isinstance(last, neurons.IntegerLIF) else out * last.constants.unit
        return (scores / len(x) if self.averaged else scores).flatten(1).to(torch.float32)

    def integers(self) -> dict[str, np.ndarray]:
        """The arrays of the description with what was trained in place: the integer graph as it now is."""
        arrays = dict(self.description.arrays)
        for name, packed in self.description.nodes().items():
            layer = self.layer(name)
            for field, value in getattr(layer, "integers", dict)().items():
                arrays[packed[field]["array"]] = value
        return arrays


def _key(name: str) -> str:
    """As a path: without dots, and unlike any attribute of a module (a node may be called `half`)."""
    return "/" + name.replace(".", "/")
