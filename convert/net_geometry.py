"""Which synapse of a `.net` layer joins what: convolution, pooling, their transposes, average.

Everything is in (C, H, W) order, flattened, as slayer's tensors are. slayer's Pool and Unpool lay channels
and rows into one axis before they convolve, so that rows missing at the bottom of a channel come from the
next one; and Pool first adds `H % k` rows of zeros, not the `-H % k` that would fill a window. Kept as it is,
for a network was trained with it. Source: lava-dl 0.6.0, `slayer/synapse/layer.py`.
"""

from __future__ import annotations

import numpy as np

from convert.ir import ConvWeights, SparseWeights, Unsupported, Weights

Shape = tuple[int, ...]
Pair = tuple[int, int]


def sparse(target: np.ndarray, source: np.ndarray, value: np.ndarray, shape: Pair) -> SparseWeights:
    """Synapses one by one as compressed columns; each (target, source) at most once."""
    order = np.lexsort((target, source))
    starts = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=shape[1]))])
    return SparseWeights(starts, target[order], value[order], shape)


def conv(
    name: str, kernel: np.ndarray, into: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> ConvWeights:
    """A convolution [out, in / groups, kh, kw] over a (C, H, W) source."""
    if into[0] != kernel.shape[1] * groups or kernel.shape[0] % groups:
        _refuse(name, f"a kernel {kernel.shape} in {groups} groups does not meet an input of {into}")
    out = tuple(
        (into[i + 1] + 2 * padding[i] - dilation[i] * (kernel.shape[i + 2] - 1) - 1) // stride[i] + 1
        for i in (0, 1)
    )
    if min(out) < 1:
        _refuse(name, f"a kernel {kernel.shape[2:]} is larger than its input {into}")
    return ConvWeights(kernel, into, (kernel.shape[0], *out), stride, padding, dilation, groups)


def transposed(
    name: str, kernel: np.ndarray, into: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> tuple[SparseWeights, Shape]:
    """A transposed convolution, kernel [in, out / groups, kh, kw]; (weights, shape of the output)."""
    if kernel.shape[0] != into[0] or into[0] % groups:
        _refuse(name, f"a kernel {kernel.shape} in {groups} groups does not meet an input of {into}")
    out = (kernel.shape[1] * groups, *_grown(into[1:], kernel.shape[2:], stride, padding, dilation))
    c, o, p, q = (i.reshape(-1, 1) for i in np.indices(kernel.shape))
    y, x = (i.reshape(1, -1) for i in np.indices(into[1:]))
    oy, ox = y * stride[0] + p * dilation[0] - padding[0], x * stride[1] + q * dilation[1] - padding[1]
    inside = (oy >= 0) & (oy < out[1]) & (ox >= 0) & (ox < out[2])
    channel = c // (into[0] // groups) * kernel.shape[1] + o
    target, source = (channel * out[1] + oy) * out[2] + ox, (c * into[1] + y) * into[2] + x
    value = np.broadcast_to(kernel.reshape(-1, 1), inside.shape)
    size = int(np.prod(out)), int(np.prod(into))
    return sparse(target[inside], source[inside], value[inside], size), out


def pool(
    name: str, kernel: np.ndarray, into: Shape, stride: Pair, padding: Pair, dilation: Pair
) -> tuple[Weights, Shape]:
    """slayer's Pool; a ConvWeights of one group a channel where it is one, else the synapses one by one."""
    high, wide = (n + n % k for n, k in zip(into[1:], kernel.shape[2:], strict=True))
    index = np.full((into[0], high, wide), -1)
    index[:, : into[1], : into[2]] = np.arange(int(np.prod(into))).reshape(into)
    tall = (1, into[0] * high, wide)
    plain = conv(name, kernel, tall, stride, padding, dilation, 1)
    out = _per_channel(name, plain.out_shape[1], plain.out_shape[2], into[0])
    target, source, value = plain.synapses()
    source = index.reshape(-1)[source]
    target, source, value = target[source >= 0], source[source >= 0], value[source >= 0].astype(kernel.dtype)
    found = sparse(target, source, value, (int(np.prod(out)), int(np.prod(into))))
    if min(n - k for n, k in zip(into[1:], kernel.shape[2:], strict=True)) >= 0:
        grouped = conv(name, np.repeat(kernel, into[0], 0), into, stride, padding, dilation, into[0])
        if grouped.out_shape == out and np.array_equal(grouped.to_dense(), found.to_dense()):
            return grouped, out
    return found, out


def unpool(
    name: str, kernel: np.ndarray, into: Shape, stride: Pair, padding: Pair, dilation: Pair
) -> tuple[SparseWeights, Shape]:
    """slayer's Unpool: channels and rows in one axis, then a transposed convolution."""
    found, out = transposed(name, kernel, (1, into[0] * into[1], into[2]), stride, padding, dilation, 1)
    return found, _per_channel(name, out[1], out[2], into[0])


def average(name: str, outputs: int, size: int) -> SparseWeights:
    """One synapse of weight 1 from each of `size` sources to the output whose group it is in."""
    if outputs < 1 or size % outputs:
        raise Unsupported(
            name, f"averages {size} neurons in {outputs} groups", "let the shape divide the layer before"
        )
    source = np.arange(size)
    return sparse(source // (size // outputs), source, np.ones(size, np.int8), (outputs, size))


def _grown(size: Shape, kernel: Shape, stride: Pair, padding: Pair, dilation: Pair) -> Shape:
    return tuple(
        (size[i] - 1) * stride[i] - 2 * padding[i] + dilation[i] * (kernel[i] - 1) + 1 for i in (0, 1)
    )


def _per_channel(name: str, rows: int, wide: int, channels: int) -> Shape:
    if rows % channels:
        _refuse(name, f"{rows} rows of all channels do not fall into {channels} channels")
    return channels, rows // channels, wide


def _refuse(name: str, why: str) -> None:
    raise Unsupported(name, why, "export the network again: slayer computes no such layer")
