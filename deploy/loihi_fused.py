"""The last projection of a LIF population and its neurons in one pass of the Loihi simulator.

Strip by strip of outputs, all steps of a block: a strip's weights stay in the second-level cache and its
neurons in the first, and its currents are never written further than that. What other projections bring has
been added to `acc` before. Same integers as `kernels.add_spikes`, then `lif.step_neurons`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numba import njit

from convert.ir import LoihiIntegrator, LoihiLIF, Program
from deploy import loihi_vectors as vectors
from deploy.bounds import drive
from deploy.loihi_groups import CURRENT_MAX, GROUP, THRESHOLD_MAX, step_group, step_group_now
from deploy.loihi_kernels import compiled, sum_strip
from deploy.loihi_neurons import Neurons
from deploy.loihi_spikes import Desk, Spikes
from deploy.loihi_synapses import Synapses

# Arrays that are handed to a compiled function, or sliced, are counted: 20 ns for 128 neurons that take 60.
inlined = njit(inline="always")


@inlined
def _add(spikes, start, stop, w, at, most, exp, row, total, sums):
    """row += shift(the sum of rows spikes[start:stop] of one strip, exp)."""
    if start < stop <= start + most:
        vectors.add_rows(w, at, spikes, start, stop, exp, row, 0)
    elif start < stop:
        sum_strip(w, at, spikes, start, stop, most, total, sums)
        for o in range(row.shape[0]):
            row[o] += np.int32(total[o] << exp) if exp >= 0 else np.int32(total[o] >> -exp)


@compiled
def run_strips(
    spikes, starts, silent, w, strips, most, exp, acc, given, raster, counts, u, v, bias, keep_u, keep_v,
    threshold, row, total, sums,
):  # fmt: skip
    """Neurons of `lif.step_neurons` over the rows of raster, fed by the spikes of `list_spikes`.

    Row r >= silent has those of starts[r - silent], rows before it none. w uint16 [strips, in, lanes] as in
    `deploy.loihi_vectors`, `strips` (first, last) the share of this call; acc int32 [rows, out] is added if
    `given`; u, v, counts int32 [N, out], out a multiple of GROUP; row, total, sums [2 lanes] are scratch,
    int32. Limits: `step_group`.
    """
    rows, out = raster.shape
    samples, wide = u.shape[0], row.shape[0]
    for strip in range(strips[0], strips[1]):
        low = strip * wide
        high = min(out, low + wide)
        at, n = strip * w.shape[1] * w.shape[2], 0
        for r in range(rows):
            for o in range(wide):
                row[o] = 0
            if given:
                for o in range(high - low):
                    row[o] = acc[r, low + o]
            if r >= silent:
                _add(spikes, starts[r - silent], starts[r - silent + 1], w, at, most, exp, row, total, sums)
            state, place = n * out, r * out
            if keep_u == 0:
                for i in range(low, high, GROUP):
                    step_group_now(
                        row, i - low, u, v, bias, counts, state + i, i, raster, place + i, keep_u, keep_v,
                        threshold,
                    )  # fmt: skip
            else:
                for i in range(low, high, GROUP):
                    step_group(
                        row, i - low, u, v, bias, counts, state + i, i, raster, place + i, keep_u, keep_v,
                        threshold,
                    )  # fmt: skip
            n = n + 1 if n + 1 < samples else 0


def lasts(
    program: Program, width: Mapping[str, np.dtype], into: Mapping[str, list[Synapses]]
) -> dict[str, Synapses]:
    """The projection that may run with its neurons, by their name: of spikes, onto LIF with one decay for
    all, within the limits of `step_group`."""
    found = {}
    for name, synapses in into.items():
        model, size = program.populations[name].model, program.populations[name].size
        if (
            type(model) in (LoihiLIF, LoihiIntegrator)
            and np.ndim(model.du) == np.ndim(model.dv) == 0  # type: ignore[union-attr]
            and size % GROUP == 0
            and width[name] == np.int32
            and drive(program, name) <= CURRENT_MAX
            and model.vth << 6 <= THRESHOLD_MAX  # type: ignore[union-attr]
        ):
            suited = [s for s in synapses if not (s.graded or s.wraps)]
            if suited:
                found[name] = suited[-1]
    return found


def run_last(
    last: Synapses, spikes: Spikes, silent: int, made: Neurons, raster: np.ndarray, acc: np.ndarray | None,
    desk: Desk,
) -> None:  # fmt: skip
    """Add `last` for all rows of raster but the first `silent` and advance the neurons; acc: what others
    brought, if any. Its rows are of 8-bit weights, uint16."""
    (strips,), (u, v) = last.layout("rows"), (made.states["u"], made.states["v"])
    scratch = desk.array("last", (desk.seats, 3, vectors.ROW_BYTES), np.int32)

    def work(seat: int, first: int, end: int) -> None:
        run_strips(
            spikes.places, spikes.starts, silent, strips, (first, end), vectors.most_rows(8), last.exp,
            u if acc is None else acc, acc is not None, raster, made.counts, u, v, made.bias,  # type: ignore[attr-defined]
            *made.constants, *scratch[seat],  # type: ignore[attr-defined]
        )  # fmt: skip

    desk.share(work, len(strips), len(spikes) * last.out)
    made.at += len(raster) // len(u)
