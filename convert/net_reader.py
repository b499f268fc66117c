"""`.net` -> Program: input, dense, conv and flatten layers with CUBA neurons; everything else is refused.

netx drops much of a file without a word (reference: its section on that). Here every dataset is either used,
or checked to say nothing new, or refused with its layer: nothing of a file is ignored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from convert.ir import (
    ArtifactError,
    BasaltError,
    ConvWeights,
    DenseWeights,
    Input,
    LoihiLIF,
    Population,
    Program,
    Projection,
    Unsupported,
    Weights,
)
from convert.ir.program import DELAY_MAX
from convert.net_format import Layer, read_layers

ANY = {"type", "shape", "weight", "neuron"}
OPTIONAL = {"bias", "delay"}
DENSE = {"inFeatures", "outFeatures"}
CONV = {"inChannels", "outChannels", "kernelSize", "stride", "padding", "dilation", "groups"}
NEURON = {"type", "iDecay", "vDecay", "vThMant", "refDelay", "gradedSpike"}
REMEDY = "export the network with dense, conv and flatten layers of CUBA neurons only"


def read_net(path: Path) -> Program:
    """Read a `.net`. Unsupported names the layer it cannot express; ArtifactError: no or a broken file."""
    layers, rest = read_layers(path)
    if unknown := set(rest) - {"simulation"}:
        raise Unsupported(path.name, f"holds {', '.join(sorted(unknown))} beside its layers", REMEDY)
    chain = _Chain()
    for i, layer in enumerate(layers):
        name = f"layer {i} ({layer.get('type', 'no type')})"
        try:
            chain.add(i, name, layer)
        except KeyError as error:
            raise ArtifactError(f"{path}: {name}: no dataset {error}; export the network again") from error
        except Unsupported:
            raise
        except (BasaltError, ValueError, IndexError, TypeError, AttributeError, ArithmeticError) as error:
            raise ArtifactError(f"{path}: {name}: {error}; export the network again") from error
    simulation = rest.get("simulation", {})
    if not isinstance(simulation, dict):
        raise ArtifactError(f"{path}: 'simulation' is no group; export the network again")
    meta = {f"net.simulation.{k}": str(v) for k, v in simulation.items()}
    return chain.program(path, meta)


class _Chain:
    """Populations and projections of the layers so far."""

    def __init__(self) -> None:
        self.populations: dict[str, Population] = {}
        self.projections: list[Projection] = []
        self.conv = self.flat = False  # the last layer is a conv; a flatten came after it

    def add(self, i: int, name: str, layer: Layer) -> None:
        add = {"input": self._input, "dense": self._dense, "conv": self._conv, "flatten": self._flatten}
        kind = layer["type"]
        if kind not in add:
            raise Unsupported(name, f"layer type {kind!r} is none of {', '.join(add)}", REMEDY)
        if bool(i) == (kind == "input"):
            raise Unsupported(name, "the input layer and no other comes first", REMEDY)
        add[kind](f"layer{i}", name, layer)

    def program(self, path: Path, meta: dict[str, str]) -> Program:
        if not self.projections or self.flat:
            raise ArtifactError(f"{path}: no layer of neurons comes last; export the network again")
        return Program(self.populations, tuple(self.projections), (self.projections[-1].dst,), meta)

    @property
    def last(self) -> Population:
        return list(self.populations.values())[-1]

    def _input(self, key: str, name: str, layer: Layer) -> None:
        _known(name, layer, {"type", "shape"})
        shape = _shape(layer["shape"])
        self.populations["input"] = Population("input", shape, Input(shape, "binary"))

    def _flatten(self, key: str, name: str, layer: Layer) -> None:
        _known(name, layer, {"type", "shape"})
        if not self.conv or self.flat or int(np.prod(layer["shape"])) != self.last.size:
            raise Unsupported(
                name, f"flattens {layer['shape']} after {self.last.shape}", "put it after one conv"
            )
        self.flat = True

    def _dense(self, key: str, name: str, layer: Layer) -> None:
        _known(name, layer, ANY | OPTIONAL | DENSE)
        if self.conv and not self.flat:
            raise Unsupported(
                name, "follows a conv without a flatten: netx leaves its axes as W, H, C", REMEDY
            )
        weight = _whole(name, "weight", layer["weight"])
        shape = _shape(layer["shape"])
        weight = weight.reshape(int(np.prod(shape)), -1) if weight.ndim == 1 else weight
        _same(name, "inFeatures", layer, weight.shape[1])
        _same(name, "outFeatures", layer, weight.shape[0])
        mantissa, exp, bits = _mantissa(name, weight)
        self._layer(key, name, layer, shape, DenseWeights(mantissa), exp, bits, _delay(name, layer))
        self.conv = self.flat = False

    def _conv(self, key: str, name: str, layer: Layer) -> None:
        _known(name, layer, ANY | OPTIONAL | CONV)
        if (self.projections and not self.conv) or self.flat:
            raise Unsupported(name, "follows a dense or flatten layer: netx cannot reshape for it", REMEDY)
        weight = _whole(name, "weight", layer["weight"])
        _same(name, "inChannels", layer, self.last.shape[0])
        _same(name, "outChannels", layer, weight.shape[0])
        _same(name, "kernelSize", layer, weight.shape[2:])
        if _delay(name, layer):
            raise Unsupported(name, "a conv with a delay, which netx ignores", "remove the delay")
        stride, padding, dilation = (_pair(layer[k]) for k in ("stride", "padding", "dilation"))
        groups, shape = int(layer["groups"]), _shape(layer["shape"])
        _fits(name, self.last.shape, shape, weight.shape, stride, padding, dilation, groups)
        mantissa, exp, bits = _mantissa(name, weight)
        weights = ConvWeights(mantissa, self.last.shape, shape, stride, padding, dilation, groups)
        self._layer(key, name, layer, shape, weights, exp, bits, 0)
        self.conv = True

    def _layer(
        self, key: str, name: str, layer: Layer, shape: tuple[int, ...], weights: Weights,
        exp: int, bits: int, delay: int,
    ) -> None:  # fmt: skip
        if "bias" in layer and np.any(layer["bias"]):
            raise Unsupported(name, "has a bias, which netx integrates a step before its first input",
                              "export without bias")  # fmt: skip
        source = self.last
        self.populations[key] = Population(key, shape, _neuron(name, layer["neuron"]), source.latency + 1)
        self.projections.append(
            Projection(f"{source.name}->{key}", source.name, key, weights, exp, delay, bits)
        )


def _known(name: str, layer: Layer, known: set[str]) -> None:
    if unknown := sorted(set(layer) - known):
        raise Unsupported(name, f"dataset {', '.join(unknown)} is not understood", REMEDY)


def _neuron(name: str, neuron: Layer) -> LoihiLIF:
    kind = neuron["type"]
    if kind not in ("CUBA", "LOIHI"):
        raise Unsupported(name, f"neuron type {kind!r} is neither CUBA nor LOIHI", REMEDY)
    if unknown := sorted(set(neuron) - NEURON):
        raise Unsupported(name, f"dataset neuron/{', neuron/'.join(unknown)} is not understood", REMEDY)
    for key, usual in (("refDelay", 1), ("gradedSpike", 0)):
        if key in neuron and np.any(neuron[key] != usual):
            raise Unsupported(
                name, f"neuron/{key} is {neuron[key]}, which Lava's LIF has not", f"export with {usual}"
            )
    values = {k: np.unique(neuron[k]) for k in ("iDecay", "vDecay", "vThMant")}
    for key, value in values.items():
        if value.size != 1 or value[0] != int(value[0]):
            raise Unsupported(name, f"neuron/{key} holds {value.size} values", "export one integer a layer")
    i, v, threshold = (int(value[0]) for value in values.values())
    if not 1 <= i <= 4096:
        raise Unsupported(
            name, f"neuron/iDecay is {i}, outside 1..4096", "export a current decay a chip holds"
        )
    return LoihiLIF(dv=v, vth=threshold, du=i - 1)


def _delay(name: str, layer: Layer) -> int:
    """The one delay of a layer; several, or one beyond the chip's, are refused (netx would clip it)."""
    if "delay" not in layer:
        return 0
    values = np.unique(np.floor(layer["delay"]))
    if values.size != 1:
        raise Unsupported(name, f"{values.size} different delays in one layer", "export one delay a layer")
    if not 0 <= values[0] <= DELAY_MAX:
        raise Unsupported(name, f"delay {values[0]:g} is outside 0..{DELAY_MAX}", "shorten the delay")
    return int(values[0])


def _mantissa(name: str, weight: np.ndarray) -> tuple[np.ndarray, int, int]:
    """(mantissas, exponent, bits) of integer weights: 8 bits where they fit, 9 for odd ones of one sign."""
    low, high = int(weight.min(initial=0)), int(weight.max(initial=0))
    if low < -256 or high > 255:
        raise Unsupported(name, f"weights {low}..{high} are outside -256..255", "export 8-bit weights")
    if low >= -128 and high <= 127:
        return weight.astype(np.int8), 0, 8
    if not (weight % 2).any():
        return (weight >> 1).astype(np.int8), 1, 8
    if low < 0 < high:
        raise Unsupported(
            name, f"odd weights of both signs, {low}..{high}, need 9 bits", "export even weights"
        )
    return weight.astype(np.int16), 0, 9


def _whole(name: str, key: str, value: Any) -> np.ndarray:
    if np.any(value != np.rint(value)) or not np.isfinite(value).all():
        raise Unsupported(name, f"{key} holds fractions, which netx cuts off", "export integer weights")
    return np.asarray(value).astype(np.int64)


def _same(name: str, key: str, layer: Layer, expected: Any) -> None:
    if key in layer and not np.array_equal(np.ravel(layer[key]), np.ravel(expected)):
        raise ArtifactError(f"{key} is {layer[key]}, but the weights say {expected}")


def _fits(
    name: str, source: tuple[int, ...], shape: tuple[int, ...], kernel: tuple[int, ...],
    stride: tuple[int, int], padding: tuple[int, int], dilation: tuple[int, int], groups: int,
) -> None:  # fmt: skip
    if len(source) != 3 or len(shape) != 3 or source[0] != kernel[1] * groups:
        raise ArtifactError(f"kernel {kernel} in {groups} groups does not meet an input of {source}")
    size = tuple(
        (source[i + 1] + 2 * padding[i] - dilation[i] * (kernel[i + 2] - 1) - 1) // stride[i] + 1
        for i in (0, 1)
    )
    if shape != (kernel[0], *size):
        raise ArtifactError(f"shape is {shape}, but the convolution gives {(kernel[0], *size)}")


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in np.ravel(value))


def _pair(value: Any) -> tuple[int, int]:
    one, two = np.broadcast_to(np.ravel(value), (2,))
    return int(one), int(two)
