"""One layer group of a `.net` as a stage of the chain: its synapses, neuron, bias and delays."""

from __future__ import annotations

from typing import Any

import numpy as np

from convert.ir import ArtifactError, DenseWeights, Input, LoihiDelta, LoihiIntegrator, Unsupported
from convert.ir.loihi import DECAY_MAX, LoihiNeuron
from convert.ir.program import DELAY_MAX, Weights
from convert.net_chain import Stage, Synapses
from convert.net_format import BRANCH, Layer
from convert.net_geometry import average, conv, pool, sparse, transposed, unpool
from convert.net_neurons import bias_of, neuron, scale_reason, weight_exp
from convert.net_weights import mantissa

KINDS = ("input", "dense", "dense_rec", "conv", "convT", "pool", "unpool", "flatten", "average")
ANY = {"type", "shape", "weight", "neuron", "delay"}
FEATURES = {"bias", "inFeatures", "outFeatures"}
WINDOW = {"kernelSize", "stride", "padding", "dilation"}
CHANNELS = {"bias", "inChannels", "outChannels", "groups"}
WORD = (1 << 31) - 1
EXPORT = "export the network again"
CHAIN = "a .net is one chain; build the branch as a graph of Basalt, or widen a layer by relay neurons"
KWTA = "slayer's KWTA exports nothing"
AVERAGED = 1 / 64  # a sum of spikes is its count << 6 in the membrane


class LayerReader:
    """Stages of the layers so far; `count` layers are to come in all."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.stages: list[Stage] = []
        self.flat = False  # a flatten waits for its dense layer

    def add(self, i: int, name: str, layer: Layer) -> None:
        if not layer:
            raise Unsupported(name, f"holds nothing ({KWTA})", "replace the block by one that exports")
        kind = layer["type"]
        if not isinstance(kind, str):
            raise ArtifactError("its type is no text")
        if named := sorted(set(layer) & BRANCH):
            raise Unsupported(name, f"dataset {', '.join(named)} names an input: a branch", CHAIN)
        if kind == "concat":
            raise Unsupported(name, "joins several layers; netx fails on it too", CHAIN)
        if kind not in KINDS:
            why = f"layer type {kind!r} is none of {', '.join(KINDS)}"
            raise Unsupported(name, why, "netx skips a type it does not know; rename or remove the layer")
        if i and kind == "input":
            raise Unsupported(name, "an input layer inside the network: a branch", CHAIN)
        if not i and kind != "input":
            self._bare_input(name, layer)
        if self.flat and kind not in ("dense", "dense_rec", "average", "flatten"):
            raise Unsupported(name, f"{kind} after a flatten", "put the flatten before a dense layer")
        getattr(self, f"_{kind}")(i, name, layer)

    @property
    def last(self) -> Stage:
        return self.stages[-1]

    def _bare_input(self, name: str, layer: Layer) -> None:
        """A network without an input layer: netx asks the user for its shape, we take a dense layer's."""
        if "inFeatures" not in layer:
            raise Unsupported(
                name, "comes first and does not say the shape of its input", "let an input layer come first"
            )
        shape = (int(layer["inFeatures"]),)
        self.stages.append(Stage("input", "input", shape, Input(shape, "binary"), shift=False))

    def _input(self, i: int, name: str, layer: Layer) -> None:
        _known(
            name, layer, {"type", "shape"} | ({"weight", "bias", "neuron"} if "neuron" in layer else set())
        )
        shape = _shape(layer["shape"])
        if "neuron" not in layer:
            self.stages.append(Stage("input", "input", shape, Input(shape, "binary"), shift=False))
            return
        weight = int(_whole(name, "weight", layer.get("weight", [64])).reshape(-1)[0])
        bias = int(_whole(name, "bias", layer.get("bias", [0])).reshape(-1)[0])
        graded = weight % 32 == 0  # else a value in steps of 1/32 leaves bits below a synapse's: spikes only
        outside = Input(shape, "graded", 1 / 32, 8) if graded else Input(shape, "binary")
        mant, exp, bits = mantissa(name, np.array([[weight // 32 if graded else weight]]))
        size = int(np.prod(shape))
        one = Synapses(_diagonal(mant, size), exp, bits)
        every = np.full(shape, bias) if bias else None
        instant = int(np.max(layer["neuron"].get("iDecay", 0))) == DECAY_MAX + 1
        model = neuron(
            name, layer["neuron"], shape, every if instant else None, first=True, last=i == self.count - 1
        )
        if not isinstance(model, LoihiDelta) and model.ports != ("a",):
            raise Unsupported(
                name, "an RF neuron on the input takes complex values", "use a CUBA or SDNN input"
            )
        scale_reason(name, layer["neuron"], model, [])
        self.stages.append(Stage("input", "input", shape, outside, shift=False))
        current = None if instant or not bias else np.full(size, bias)
        self.stages.append(
            Stage(
                f"layer{i}",
                name,
                shape,
                model,
                (one,),
                current=current,
                shift=not isinstance(model, LoihiDelta),
                notes="weight" if "weight" in layer else "",
            )
        )

    def _flatten(self, i: int, name: str, layer: Layer) -> None:
        _known(name, layer, {"type", "shape"})
        if int(np.prod(layer["shape"])) != self.last.size:
            raise Unsupported(name, f"flattens {layer['shape']} after {self.last.shape}", EXPORT)
        self.flat = True

    def _dense(self, i: int, name: str, layer: Layer) -> None:
        _known(name, layer, ANY | FEATURES | ({"weight_rec"} if layer["type"] == "dense_rec" else set()))
        if len(self.last.shape) == 3 and not (self.flat or self.last.size == self.last.shape[0] or i == 1):
            raise Unsupported(
                name,
                f"follows a layer of {self.last.shape} without a flatten: netx takes it as W, H, C",
                "export a flatten layer between them",
            )
        shape = _shape(layer["shape"])
        out = int(np.prod(shape))
        parts, worths = [], []
        for port, raw in _ports(name, layer):
            worth = raw.reshape(out, -1) if raw.ndim == 1 else raw
            if worth.ndim != 2 or worth.shape != (out, self.last.size):
                why = f"weights {worth.shape} between {self.last.size} sources and {out} neurons"
                raise ArtifactError(why)
            mant, exp, bits = mantissa(name, worth)
            parts.append(Synapses(DenseWeights(mant), exp, bits, port))
            worths.append(worth)
        _same("inFeatures", layer, worths[0].shape[1])
        _same("outFeatures", layer, out)
        self.flat = False
        self._stage(i, name, layer, shape, parts, worths)

    def _dense_rec(self, i: int, name: str, layer: Layer) -> None:
        self._dense(i, name, layer)

    def _conv(self, i: int, name: str, layer: Layer) -> None:
        self._window(i, name, layer, CHANNELS)

    _convT = _pool = _unpool = _conv  # named for the layer type

    def _window(self, i: int, name: str, layer: Layer, channels: set[str]) -> None:
        kind = str(layer["type"])
        _known(name, layer, ANY | WINDOW | (channels if kind.startswith("conv") else set()))
        if len(self.last.shape) != 3:
            raise Unsupported(name, f"{kind} needs (C, H, W), and {self.last.shape} comes before", EXPORT)
        stride, padding, dilation = (_pair(layer[k]) for k in ("stride", "padding", "dilation"))
        parts, worths, shape, into = [], [], (), self.last.shape
        for port, worth in _ports(name, layer):
            _same("kernelSize", layer, worth.shape[2:])
            mant, exp, bits = mantissa(name, worth)
            weights: Weights
            if kind.startswith("conv"):
                groups = int(layer["groups"])
                outward = worth.shape[0] if kind == "conv" else worth.shape[1] * groups
                _same("inChannels", layer, into[0])
                _same("outChannels", layer, outward)
                if kind == "conv":
                    weights = conv(name, mant, into, stride, padding, dilation, groups)
                    shape = weights.out_shape
                else:
                    weights, shape = transposed(name, mant, into, stride, padding, dilation, groups)
            else:
                make = pool if kind == "pool" else unpool
                weights, shape = make(name, mant, into, stride, padding, dilation)
            parts.append(Synapses(weights, exp, bits, port))
            worths.append(worth)
        if shape != _shape(layer["shape"]):
            raise ArtifactError(f"shape is {_shape(layer['shape'])}, but the {kind} gives {shape}")
        self._stage(i, name, layer, shape, parts, worths)

    def _average(self, i: int, name: str, layer: Layer) -> None:
        """The mean of each group's spikes in every step, read as a membrane without memory."""
        _known(name, layer, {"type", "shape"})
        shape = _shape(layer["shape"])
        weights = average(name, int(np.prod(shape)), self.last.size)
        if i != self.count - 1:
            raise Unsupported(
                name,
                f"gives fractions of {self.last.size // weights.shape[0]} to the next layer",
                "let the average be the last layer, or leave it out and widen the next dense layer",
            )
        if getattr(self.last.model, "message", "binary") != "binary":
            raise Unsupported(name, "averages graded spikes", "let the average follow spiking neurons")
        group = self.last.size // weights.shape[0]
        model = LoihiIntegrator(4096, AVERAGED / group)
        self.flat = False
        self.stages.append(Stage(f"layer{i}", name, shape, model, (Synapses(weights, 0, 8),), shift=False))

    def _stage(
        self, i: int, name: str, layer: Layer, shape: tuple[int, ...], parts: list[Synapses], worths: list
    ) -> None:
        model, current, group = self._model(i, name, layer, shape, parts)
        if "neuron" not in layer:
            parts = [Synapses(parts[0].weights, parts[0].exp, parts[0].bits)]
        if tuple(p.port for p in parts) != model.ports:
            raise Unsupported(name, f"{len(parts)} weights for {type(model).__name__}", EXPORT)
        back, worth = self._back(name, layer, int(np.prod(shape)))
        scale_reason(name, group, model, worths + worth)
        self._meet(name, model)
        e = weight_exp(group)
        delays, by_source = _delays(name, layer, shape, parts[0].weights.shape)
        if back is not None and (by_source or delays.ndim == 2) and delays.any():
            raise Unsupported(name, "delays each synapse of a recurrent layer", "give one delay a neuron")
        self.stages.append(
            Stage(
                f"layer{i}", name, shape, model, tuple(_scaled(p, e) for p in parts),
                None if back is None else _scaled(back, e), delays, by_source, current,
                shift=bool(group) and group["type"] != "SDNN", notes=_notes(layer, group),
            )
        )  # fmt: skip

    def _model(
        self, i: int, name: str, layer: Layer, shape: tuple[int, ...], parts: list[Synapses]
    ) -> tuple[LoihiNeuron, np.ndarray | None, Layer]:
        """(neuron, constant current, neuron group); without a group a sum of each step, in the last layer."""
        last = i == self.count - 1
        if "neuron" in layer:
            bias, current = self._bias(name, layer, shape)
            return (
                neuron(name, layer["neuron"], shape, bias, first=False, last=last),
                current,
                layer["neuron"],
            )
        if not last or len(parts) > 1 or "weight_rec" in layer or "bias" in layer:
            raise Unsupported(
                name, "has no neuron: slayer's Affine without dynamics, which gives sums and no spikes",
                "let it be the last layer, without bias, or export it with a neuron",
            )  # fmt: skip
        return LoihiIntegrator(4096, 1 / 4096), None, {}

    def _back(self, name: str, layer: Layer, out: int) -> tuple[Synapses | None, list[np.ndarray]]:
        """The recurrence of a dense_rec and its integer weights."""
        if layer["type"] != "dense_rec":
            return None, []
        worth = _whole(name, "weight_rec", layer["weight_rec"])
        if worth.size != out * out:
            raise ArtifactError(f"weight_rec is {worth.shape}, expected one of {out} x {out}")
        mant, exp, bits = mantissa(name, worth.reshape(out, out), zero=True)
        return Synapses(DenseWeights(mant), exp, bits), [worth]

    def _bias(
        self, name: str, layer: Layer, shape: tuple[int, ...]
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """(bias of the membrane, constant current), each int64 of shape, [out], or None.

        slayer's Recurrent keeps the normed current as its state: there the bias is part of the current.
        """
        if "bias" not in layer or not np.any(layer["bias"]):
            return None, None
        value = _whole(name, "bias", layer["bias"]).reshape(-1)
        if value.size not in (1, shape[0], int(np.prod(shape))):
            raise ArtifactError(f"bias of {value.size} values for a layer of {shape}")
        per = (
            value.reshape(shape)
            if value.size == int(np.prod(shape))
            else value.reshape(-1, *[1] * (len(shape) - 1))
        )
        bias = np.array(np.broadcast_to(per, shape))
        mant, exp = bias_of(layer["neuron"], bias)
        if np.abs(mant).max() > 4095 or exp > 7:
            raise Unsupported(
                name, f"bias {value.min()}..{value.max()} is outside -4095..4095 (13 bits)", "shrink the bias"
            )
        if layer["type"] != "dense_rec":
            return bias, None
        if bias.min() < -256 or bias.max() > 255 or ((bias % 2).any() and np.abs(bias).max() > 127):
            raise Unsupported(name, "a recurrent layer's bias does not fit a weight", "shrink the bias")
        return None, bias.reshape(-1)

    def _meet(self, name: str, model: Any) -> None:
        """Sigma-delta layers take graded spikes of sigma-delta layers, all others spikes."""
        before = getattr(self.last.model, "message", "binary")
        takes = "graded" if type(model).__name__ in ("LoihiSigma", "LoihiSigmaDelta") else "binary"
        if not isinstance(self.last.model, Input) and not self.last.model.spiking:
            raise Unsupported(
                name, f"follows {self.last.name}, which gives no spikes", "let that be the last"
            )
        if before != takes:
            raise Unsupported(
                name,
                f"takes {takes} spikes, and {self.last.name} gives {before} ones",
                "keep to one family of neurons, with an SDNN neuron on the input of an SDNN network",
            )


def _notes(layer: Layer, group: Layer) -> str:
    """Datasets that are there and say nothing: zeros, and the threshold of a sigma output."""
    found = [k for k in ("bias", "delay") if k in layer and not np.any(np.floor(layer[k]))]
    found += ["weight_exp"] if "weight_exp" in group and not weight_exp(group) else []
    if "sigma_output" in group:
        found.append(f"vThMant={int(np.ravel(group['vThMant'])[0])}")
    return " ".join(found)


def _scaled(part: Synapses, e: int) -> Synapses:
    """Weights divided by 2 ** e; exact: `scale_reason` lets no weight through that it does not divide."""
    return Synapses(part.weights, part.exp - e, part.bits, part.port)


def _delays(
    name: str, layer: Layer, shape: tuple[int, ...], size: tuple[int, int]
) -> tuple[np.ndarray, bool]:
    """(delays, by_source): one a channel, as slayer writes; one a source or synapse, as netx takes."""
    value = np.asarray(layer.get("delay", 0.0), np.float64)
    if not np.isfinite(value).all() or value.min() < 0 or value.max() >= DELAY_MAX + 1:
        raise Unsupported(
            name,
            f"a delay of {value.max() if value.max() > 0 else value.min():g} steps is outside 0..{DELAY_MAX}",
            "shorten the delay (netx clips it)",
        )
    value = np.floor(value).astype(np.int64)
    if value.size == 1 or value.shape in ((shape[0],), (size[0],), size):
        return value.reshape(-1) if value.size == 1 else value, False
    if value.shape == (size[1],):
        return value, True
    raise ArtifactError(f"delay of shape {value.shape} for weights {size}")


def _ports(name: str, layer: Layer) -> list[tuple[str, np.ndarray]]:
    """(port, integer weights) of a layer: one for real neurons, two for complex ones."""
    weight = layer["weight"]
    if not isinstance(weight, dict):
        return [("a", _whole(name, "weight", weight))]
    if set(weight) != {"real", "imag"}:
        raise Unsupported(name, f"weight holds {', '.join(sorted(weight))}", "expected real and imag")
    found = [(part, _whole(name, f"weight/{part}", weight[part])) for part in ("real", "imag")]
    if found[0][1].shape != found[1][1].shape:
        raise ArtifactError(f"weight/real is {found[0][1].shape}, weight/imag {found[1][1].shape}")
    return found


def _diagonal(one: np.ndarray, size: int) -> Weights:
    each = np.arange(size)
    return sparse(each, each, np.full(size, one[0, 0], one.dtype), (size, size))


def _known(name: str, layer: Layer, known: set[str]) -> None:
    if unknown := sorted(set(layer) - known):
        raise Unsupported(name, f"dataset {', '.join(unknown)} is not understood", EXPORT)


def _whole(name: str, key: str, value: Any) -> np.ndarray:
    value = np.asarray(value)
    if not np.isfinite(value).all():
        raise Unsupported(name, f"{key} holds NaN or infinity", "train again: the weights have diverged")
    if np.any(np.abs(value) > WORD):
        raise Unsupported(name, f"{key} holds {np.abs(value).max():g}, beyond 32 bits", EXPORT)
    if np.any(value != np.rint(value)):
        raise Unsupported(name, f"{key} holds fractions, which netx cuts off", "export integer weights")
    return value.astype(np.int64)


def _same(key: str, layer: Layer, expected: Any) -> None:
    if key in layer and not np.array_equal(np.ravel(layer[key]), np.ravel(expected)):
        raise ArtifactError(f"{key} is {layer[key]}, but the weights say {expected}")


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in np.ravel(value))


def _pair(value: Any) -> tuple[int, int]:
    one, two = np.broadcast_to(np.ravel(value), (2,))
    return int(one), int(two)
