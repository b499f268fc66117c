"""A projection of the program as Lava processes: dense, sparse or convolving, and lines of delay."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import OutPort
from lava.proc.conv import utils as conv_utils
from lava.proc.conv.process import Conv
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.sparse.process import DelaySparse, Sparse
from lava.utils.weightutils import SignMode
from scipy import sparse

MIXED_BITS = 9  # Lava holds mixed-sign weights of b bits in the upper b of 9 bits
CONV_HALF = 1 << 23  # Lava's Conv wraps sums to 24 bits; without `wrap`, larger ones go through Sparse
Json = dict[str, Any]
conv_utils.TORCH_IS_AVAILABLE = False  # as in lava-nc 0.10.0: the other path, in float32, rounds beyond 2^24


def hop(port: OutPort, bits: int) -> OutPort:
    """What the port sends, one chip step later; messages of `bits` bits, 0: spikes."""
    one = Sparse(
        weights=sparse.identity(port.shape[0], np.int32, format="csr"), num_weight_bits=8,
        sign_mode=SignMode.EXCITATORY, num_message_bits=bits,
    )  # fmt: skip
    port.connect(one.s_in)
    return one.a_out


def connect(p: Json, w: Json, out: OutPort, into: Any, bits: int, peak: int, delay: int = 0) -> None:
    """Mantissas M of b bits: weights M << (9 - b), exponent exp - (9 - b); the same product exactly.

    delay: chip steps within the synapse itself.  peak: largest message, where it is known.
    """
    up = MIXED_BITS - p["bits"]
    how: Json = {
        "weight_exp": p["exp"] - up, "num_weight_bits": p["bits"], "sign_mode": SignMode.MIXED,
        "num_message_bits": bits,
    }  # fmt: skip
    if w["type"] == "ConvWeights" and _fits_conv(w, p, peak):
        _convolve(w, p, bits, out, into)
        return
    matrix = matrix_of(w, up)
    if delay:
        kind: Any = DelayDense if isinstance(matrix, np.ndarray) else DelaySparse
        synapse = kind(weights=matrix, delays=(matrix != 0).astype(int) * delay, max_delay=delay, **how)
    else:
        synapse = (Dense if isinstance(matrix, np.ndarray) else Sparse)(weights=matrix, **how)
    out.connect(synapse.s_in)
    synapse.a_out.connect(into)


def connect_floating(p: Json, w: Json, out: OutPort, into: Any, bits: int) -> None:
    """For the float models, in units of v: weights times 2^(exp + 6)."""
    matrix = matrix_of(w, 0)
    matrix = matrix if isinstance(matrix, np.ndarray) else matrix.toarray()
    synapse = Dense(weights=matrix * 2.0 ** (p["exp"] + 6), num_message_bits=bits)
    out.connect(synapse.s_in)
    synapse.a_out.connect(into)


def _fits_conv(w: Json, p: Json, peak: int) -> bool:
    """Lava's Conv knows no exponent (we shift the kernel) and wraps; it may where the program says so."""
    if w.get("wrap"):
        return True
    reach = int(np.abs(w["kernel"].astype(np.int64)).sum(axis=(1, 2, 3)).max()) << max(p["exp"], 0)
    return p["exp"] >= 0 and reach * peak < CONV_HALF


def _convolve(w: Json, p: Json, bits: int, out: OutPort, into: Any) -> None:
    kernel = w["kernel"].astype(np.int32) << p["exp"]
    conv = Conv(
        # Lava convolves truly (flipped) on (W, H, C) with weights (out, W, H, in / groups)
        weight=np.ascontiguousarray(kernel[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)),
        input_shape=tuple(w["in_shape"][::-1]), stride=tuple(w["stride"][::-1]), groups=int(w["groups"]),
        padding=tuple(w["padding"][::-1]), dilation=tuple(w["dilation"][::-1]), num_message_bits=bits,
    )  # fmt: skip
    out.reshape(tuple(w["in_shape"])).transpose([2, 1, 0]).connect(conv.s_in)
    conv.a_out.transpose([2, 1, 0]).flatten().connect(into)


def matrix_of(w: Json, up: int) -> Any:
    """The weights << up: an array for dense ones, a compressed matrix for others."""
    if w["type"] == "DenseWeights":
        return w["matrix"].astype(np.int32) << up
    if w["type"] == "ConvWeights":
        return _unrolled(w, up)
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
