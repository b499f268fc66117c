"""What is wrong with a cost table: every fault of a file, so that one reading mends them all."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, TypeGuard

from energy.ram import CHARGED, KEYS, LAWS

OPERATIONS = {
    "arithmetic": ("mac", "ac", "add", "multiply"),
    "chip": (
        "sop", "sop_dense", "sop_sparse", "sop_conv", "neuron_active", "neuron_inactive", "spike", "message",
        "hop_x", "hop_y",
    ),
}  # fmt: skip
NEEDED = {"arithmetic": (("mac",), ("ac",)), "chip": (("sop",), ("sop_dense", "sop_sparse", "sop_conv"))}
MOST = sys.float_info.max  # whole numbers of a file may be longer
CONFIDENCE = ("high", "medium", "low")
TEXT = ("name", "title", "precision", "scope", "confidence")
UNSTATED = "unstated"
_KEYS = {
    *TEXT, "kind", "version", "source", "node_nm", "voltage_v", "pj", "unknown", "included", "memory",
    "caution",
}  # fmt: skip
_PRECISION = re.compile(r"(?:fp|bf|int|uint)(\d+)")
_WORST = 0.02  # of a MAC: figures are printed with two digits


def faults(body: Mapping[str, Any]) -> list[str]:
    """One line each; empty for a sound table."""
    found = [f"unknown key {key!r}" for key in sorted(set(body) - _KEYS)]
    found += [f"{key} must be text" for key in TEXT if not _is_text(body.get(key))]
    if body.get("confidence") not in CONFIDENCE:
        found.append(f"confidence must be one of {', '.join(CONFIDENCE)}")
    if type(body.get("version")) is not int:
        found.append("version must be a whole number")
    if not isinstance(body.get("caution", ""), str):
        found.append("caution must be text")
    source = body.get("source")
    if not isinstance(source, list) or not source or not all(_is_text(s) for s in source):
        found.append("source must be a list of citations, one at least")
    for key in ("node_nm", "voltage_v"):
        if key in body and not _is_positive(body[key]):
            found.append(f"{key} must be above 0")
    kind = body.get("kind", "arithmetic")
    if not isinstance(kind, str) or kind not in OPERATIONS:
        return [*found, f"kind {kind!r} must be one of {', '.join(OPERATIONS)}"]
    found += _prices(kind, body)
    return found + (_precision(body) if kind == "arithmetic" else []) + _memory(kind, body)


def _prices(kind: str, body: Mapping[str, Any]) -> list[str]:
    pj = body.get("pj")
    if not isinstance(pj, dict):
        return ["[pj] must give picojoules per operation"]
    found = []
    for op, value in pj.items():
        if op not in OPERATIONS[kind]:
            found.append(f"[pj] {op}: unknown operation; known to {kind}: {', '.join(OPERATIONS[kind])}")
        elif not _is_positive(value):
            found.append(f"[pj] {op} = {value!r} must be a number above 0")
    told = {}
    for key in ("unknown", "included"):
        given = body.get(key, {})
        told[key] = set(given) if isinstance(given, dict) else set()
        if not isinstance(given, dict) or not all(_is_text(why) for why in given.values()):
            found.append(f"[{key}] must give a reason in words per operation")
        found += [f"[{key}] {op}: unknown operation" for op in sorted(told[key] - set(OPERATIONS[kind]))]
        found += [f"[{key}] {op}: has a price in [pj] too" for op in sorted(told[key] & set(pj))]
    have = {*pj, *told["unknown"]}
    if kind == "arithmetic":
        return found + [f"[pj] lacks {op}" for (op,) in NEEDED[kind] if op not in have]
    if not any(set(way) <= have for way in NEEDED[kind]):
        found.append("[pj] lacks sop, or sop_dense, sop_sparse and sop_conv together")
    return found


def _precision(body: Mapping[str, Any]) -> list[str]:
    """A table is of one precision: its name says so, and its figures agree with each other."""
    found, precision = [], body.get("precision")
    if _is_text(precision) and precision != UNSTATED and not _PRECISION.fullmatch(precision):
        found.append(f"precision {precision!r} must be one, such as fp32 or int8, or '{UNSTATED}'")
    given = body.get("pj")
    pj = {op: value for op, value in given.items() if _is_positive(value)} if isinstance(given, dict) else {}
    if {"mac", "multiply", "add"} <= set(pj):
        whole = pj["multiply"] + pj["add"]
        if abs(pj["mac"] - whole) > _WORST * whole:
            found.append(f"mixed precision: mac = {pj['mac']:g} is not multiply + add = {whole:g}")
    if {"ac", "add"} <= set(pj) and abs(pj["ac"] - pj["add"]) > _WORST * pj["add"]:
        found.append(f"mixed precision: ac = {pj['ac']:g} is not add = {pj['add']:g}")
    return found + _mixed(pj)


# Horowitz 2014: MAC and AC of one precision. Papers have priced MACs of one with ACs of another.
_PAIRS = {"fp32": (4.6, 0.9), "fp16": (1.5, 0.4), "int32": (3.2, 0.1), "int8": (0.23, 0.03)}


def _mixed(pj: Mapping[str, float]) -> list[str]:
    mac = [name for name, pair in _PAIRS.items() if pj.get("mac") == pair[0]]
    ac = [name for name, pair in _PAIRS.items() if pj.get("ac") == pair[1]]
    if not mac or not ac or set(mac) & set(ac):
        return []
    return [f"mixed precision: mac = {pj['mac']:g} is Horowitz's {mac[0]}, ac = {pj['ac']:g} its {ac[0]}"]


def _memory(kind: str, body: Mapping[str, Any]) -> list[str]:
    if "memory" not in body:
        return []
    memory = body["memory"]
    if kind != "arithmetic" or not isinstance(memory, dict):
        return ["[memory] belongs to arithmetic tables, as a table of its own"]
    law = memory.get("law")
    if not isinstance(law, str) or law not in LAWS:
        return [f"[memory] law {law!r} must be one of {', '.join(LAWS)}"]
    allowed = KEYS | set(LAWS[law])
    found = [f"[memory] unknown key {key!r}" for key in sorted(set(memory) - allowed)]
    found += [f"[memory] lacks {key}" for key in sorted(allowed - {"note"} - set(memory))]
    for key in ("word_bits", "access_bits", "fifo_messages"):
        if key in memory and (type(memory[key]) is not int or memory[key] < 1):
            found.append(f"[memory] {key} must be a whole number above 0")
    for key in ("base", "per_bit", "beyond"):
        if key in memory and not _is_positive(memory[key]):
            found.append(f"[memory] {key} must be above 0")
    if memory.get("charged") not in CHARGED:
        found.append(f"[memory] charged must be one of {', '.join(CHARGED)}")
    if type(memory.get("in_total")) is not bool:
        found.append("[memory] in_total must be true or false")
    bits = _PRECISION.fullmatch(str(body.get("precision")))
    if bits and memory.get("word_bits") not in (int(bits[1]), None):
        found.append(f"mixed precision: [memory] word_bits {memory['word_bits']} beside {body['precision']}")
    return found + _points(memory)


def _points(memory: Mapping[str, Any]) -> list[str]:
    points = memory.get("points")
    if points is None:
        return []
    pairs = isinstance(points, list) and all(isinstance(p, list) and len(p) == 2 for p in points)
    if not pairs or not points or not all(_is_number(v) and v >= 0 for p in points for v in p):
        return ["[memory] points must be pairs [bytes, pJ]"]
    if any(b[0] <= a[0] or b[1] < a[1] for a, b in pairwise(points)):
        return ["[memory] points must ascend"]
    return []


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value.strip())


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST


def _is_positive(value: object) -> TypeGuard[int | float]:
    return _is_number(value) and value > 0
