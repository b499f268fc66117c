"""The fused LSTM layer of the CPU: gates are counted step by step, as `nn.LSTM` defines them.

    i, f, g, o = W x_t + b + U h_{t-1} + b'      4 H gates: what is not zero in x_t and h_{t-1}; 2 biases, 1
    sum c = f c + i g;  h = o tanh(c)                3 multiplies, 1 add a unit; 3 sigmoids, 2 tanh

GRU, RNN and the LSTM of other devices come as products and activations already. h_t are the layer's outputs,
so that every operand is known.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from energy.torch_counts.elementwise import FUNCTIONS
from energy.torch_counts.note import Axis, Cell, Note
from energy.torch_counts.operand import Synapses, numbers
from energy.torch_counts.record import Stage, Steady, Synaptic
from energy.torch_counts.rules import Rules
from energy.torch_counts.trace import Call

RULES = Rules()

GATES = 4


@RULES.operation("mkldnn_rnn_layer")
def _lstm(call: Call) -> None:
    x, w_ih, w_hh, _, _, hx = call.args[:6]
    reverse = bool(call.args[8])
    y, gates = call.out[0], GATES * w_hh.shape[1]
    first = hx.reshape(1, *y.shape[1:])
    before = torch.cat([y[1:], first]) if reverse else torch.cat([first, y[:-1]])
    for item, operand, note, weight in (
        ("input", x, call.note(x), w_ih),
        ("hidden", before, Note(Cell(), time=_steps(call, x)), w_hh),
    ):
        dense = operand.numel() * gates
        columns: int | Tensor = gates
        if not weight.is_meta and bool((weight == 0).any()):
            columns = torch.count_nonzero(weight, dim=0).to(torch.float64)
        fan = Synapses(dense, dense, gates, columns, not call.settings.zero_weights)
        found = numbers(operand, note, fan, call.trace.steps)
        where = replace(call.where(operand), item=item, type="LSTM")
        record = Synaptic(where, (Stage("", found),), y.numel() * GATES, y.numel() * GATES)
        call.trace.read(note, None)
        call.record(record)
    _units(call, y)
    for out in call.out:
        if isinstance(out, Tensor):
            call.give(Note(Cell(), time=_steps(call, x) if out is y else None), out)


def _steps(call: Call, x: Tensor) -> Axis | None:
    time = call.note(x).time
    return time if time is not None and time.at == 0 else None


def _units(call: Call, y: Tensor) -> None:
    units = y.numel()
    functions = [FUNCTIONS[name] for name in ("sigmoid",) * 3 + ("tanh",) * 2]
    multiplies, adds, compares = (sum(f[i] for f in functions) for i in range(3))
    counts = {
        "neuron_multiplies": units * (multiplies + 3), "neuron_adds": units * (adds + 1),
        "neuron_compares": units * compares, "residual_adds": units * GATES,
    }  # fmt: skip
    where = replace(call.where(y), item="units", type="LSTM")
    call.record(Steady(where, {k: v for k, v in counts.items() if v}))
