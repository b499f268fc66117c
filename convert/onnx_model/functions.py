"""One step of each neuron as ONNX functions of the domain `basalt.neuron`, in ONNX's own text form.

`v` and `u` come in as they were after the last step and leave as `v_next`, `u_next`; `s` is the spikes
(bool). A neuron without a current state takes its whole drive, bias included, as one input: what does not
depend on the state is computed for all steps at once, outside. The `_current` forms keep u, and take the bias
`b` apart, since it is v that it is added to. Equations: `convert.ir.neurons` in float32, `convert.ir.loihi`.

Integers: u is int64; v, 24 bits, is int32, its decay taken in two parts of 12 bits so that no product passes
2^24 (v = 4096 upper + lower, all of one sign, so both parts truncate alike). The drive of LoihiLIF is int32
within 2^25, where no sum can wrap. `Bounded` brings a larger one there and changes nothing: 2^25 saturates v
whatever the drive was. It is not Clip, which ONNX Runtime 1.31 gets wrong on int64 beyond 32 bits
(onnxruntime#25280).
"""

from __future__ import annotations

from functools import cache

import onnx

from convert.onnx_model.builder import DOMAIN, OPSET

_TEXT = """
LIF <dv, threshold>(drive, v) => (s, v_next) {
  one = Constant<value_float = 1.0>()
  dv = Constant<value_float: float = @dv>()
  keep = Sub(one, dv)
  kept = Mul(keep, v)
  v_new = Add(kept, drive)
  threshold = Constant<value_float: float = @threshold>()
  s = Greater(v_new, threshold)
  zero = Constant<value_float = 0.0>()
  v_next = Where(s, zero, v_new)
}
IF <threshold>(drive, v) => (s, v_next) {
  v_new = Add(v, drive)
  threshold = Constant<value_float: float = @threshold>()
  s = Greater(v_new, threshold)
  zero = Constant<value_float = 0.0>()
  v_next = Where(s, zero, v_new)
}
CubaLIF <du, dv, threshold>(a, b, u, v) => (s, u_next, v_next) {
  one = Constant<value_float = 1.0>()
  du = Constant<value_float: float = @du>()
  keep_u = Sub(one, du)
  kept_u = Mul(keep_u, u)
  u_next = Add(kept_u, a)
  drive = Add(u_next, b)
  s, v_next = basalt.neuron.LIF<dv: float = @dv, threshold: float = @threshold>(drive, v)
}
LeakyIntegrator <dv>(drive, v) => (v_next) {
  one = Constant<value_float = 1.0>()
  dv = Constant<value_float: float = @dv>()
  keep = Sub(one, dv)
  kept = Mul(keep, v)
  v_next = Add(kept, drive)
}
LeakyIntegrator_current <du, dv>(a, b, u, v) => (u_next, v_next) {
  one = Constant<value_float = 1.0>()
  du = Constant<value_float: float = @du>()
  keep_u = Sub(one, du)
  kept_u = Mul(keep_u, u)
  u_next = Add(kept_u, a)
  drive = Add(u_next, b)
  v_next = basalt.neuron.LeakyIntegrator<dv: float = @dv>(drive, v)
}
Wrap24 (raw) => (u) {
  top = Constant<value_int = 8388608>()
  bottom = Constant<value_int = -8388608>()
  turn = Constant<value_int = 16777216>()
  over = Greater(raw, top)
  under = LessOrEqual(raw, bottom)
  less = Sub(raw, turn)
  more = Add(raw, turn)
  lifted = Where(under, more, raw)
  u = Where(over, less, lifted)
}
Bounded (x) => (y) {
  high = Constant<value_int = 33554432>()
  low = Constant<value_int = -33554432>()
  over = Greater(x, high)
  under = Less(x, low)
  lowered = Where(over, high, x)
  bounded = Where(under, low, lowered)
  y = Cast<to = 6>(bounded)
}
LoihiLIF <dv, vth>(drive, v) => (s, v_next) {
  full = Constant<value = int32 {4096}>()
  dv = Constant<value_int: int = @dv>()
  dv32 = Cast<to = 6>(dv)
  keep = Sub(full, dv32)
  upper = Div(v, full)
  upper_value = Mul(upper, full)
  lower = Sub(v, upper_value)
  lower_product = Mul(lower, keep)
  lower_kept = Div(lower_product, full)
  upper_kept = Mul(upper, keep)
  kept = Add(upper_kept, lower_kept)
  total = Add(kept, drive)
  low = Constant<value = int32 {-8388607}>()
  high = Constant<value = int32 {8388607}>()
  v_new = Clip(total, low, high)
  vth = Constant<value_int: int = @vth>()
  vth32 = Cast<to = 6>(vth)
  unit = Constant<value = int32 {64}>()
  threshold = Mul(vth32, unit)
  s = Greater(v_new, threshold)
  zero = Constant<value = int32 {0}>()
  v_next = Where(s, zero, v_new)
}
LoihiLIF_current <du, dv, vth>(a, b, u, v) => (s, u_next, v_next) {
  keep_and_one = Constant<value_int = 4095>()
  du = Constant<value_int: int = @du>()
  keep_u = Sub(keep_and_one, du)
  product = Mul(u, keep_u)
  full = Constant<value_int = 4096>()
  kept_u = Div(product, full)
  unit = Constant<value_int = 64>()
  lifted = Mul(a, unit)
  raw = Add(kept_u, lifted)
  u_next = basalt.neuron.Wrap24(raw)
  pushed = Add(u_next, b)
  drive = basalt.neuron.Bounded(pushed)
  s, v_next = basalt.neuron.LoihiLIF<dv: int = @dv, vth: int = @vth>(drive, v)
}
LoihiIntegrator <dv, vth>(drive, v) => (v_next) {
  s, v_next = basalt.neuron.LoihiLIF<dv: int = @dv, vth: int = @vth>(drive, v)
}
LoihiIntegrator_current <du, dv, vth>(a, b, u, v) => (u_next, v_next) {
  s, u_next, v_next = basalt.neuron.LoihiLIF_current
    <du: int = @du, dv: int = @dv, vth: int = @vth>(a, b, u, v)
}
"""


def function(name: str) -> onnx.FunctionProto:
    """The function of that name; KeyError if there is none."""
    return _parsed()[name]


def needed(name: str) -> list[onnx.FunctionProto]:
    """The function and those it calls, callers last."""
    callees = [n.op_type for n in function(name).node if n.domain == DOMAIN]
    return [f for callee in callees for f in needed(callee)] + [function(name)]


@cache
def _parsed() -> dict[str, onnx.FunctionProto]:
    header = f'<opset_import: ["": {OPSET}, "{DOMAIN}": 1], domain: "{DOMAIN}">\n'
    texts = [part + "}" for part in _TEXT.strip().split("}\n")]
    texts[-1] = texts[-1].removesuffix("}")
    parsed = [onnx.parser.parse_function(header + text.strip()) for text in texts]
    return {f.name: f for f in parsed}
