"""The mesh as a picture: a frame for each router, in it one square for each core in use, darker the fuller; a
line for each busy way. Plain SVG, colours in hexadecimal: not every viewer knows more.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from deploy.cores.traffic import Traffic

CELL, GAP, EDGE = 22, 10, 40
WIDTH = 560  # at least: room for the title
ARROWS = 60  # busiest ways drawn
HUES = (210, 25, 130, 280, 50, 340, 180, 95, 250, 0, 160, 310)


def svg(body: Mapping[str, Any], messages: Traffic) -> str:
    """The whole SVG of a report; colour is the population, depth the fullest limit of the core."""
    figures = body["chip"]["figures"]
    wide, high = figures["mesh.width"]["value"], figures["mesh.height"]["value"]
    side = int(np.ceil(np.sqrt(figures["mesh.cores_per_router"]["value"])))
    router = side * CELL + GAP
    chips = body["totals"]["chips"]
    width = max(WIDTH, chips * (wide * router + GAP) + 2 * EDGE)
    names = [p["population"] for p in body["populations"]]
    hue = {name: HUES[k % len(HUES)] for k, name in enumerate(names)}
    height = high * router + 2 * EDGE + 18 * (len(names) + 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="11">',
        f'<text x="{EDGE}" y="20" font-size="14">{escape(_title(body))}</text>',
    ]
    parts += _routers(chips, wide, high, router)
    middles = []
    for core in body["cores"]:
        x, y = _corner(core, (wide, router, side, figures["mesh.cores_per_router"]["value"]))
        middles.append((x + CELL / 2, y + CELL / 2))
        parts.append(_square(core, (x, y), hue, body["utilisation"]))
    parts += _ways(messages.matrix[:-1, :-1], middles)
    for line, name in enumerate(names):
        y = high * router + EDGE + 18 * (line + 2)
        p = body["populations"][line]
        parts.append(
            f'<rect x="{EDGE}" y="{y - 10}" width="12" height="12" fill="{_colour(hue[name], 50)}"/>'
        )
        parts.append(f'<text x="{EDGE + 20}" y="{y}">{escape(name)}: {number(p["cores"], "core")}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _title(body: Mapping[str, Any]) -> str:
    totals = body["totals"]
    return (
        f"{body['chip']['title']}: {number(totals['cores'], 'core')} on {number(totals['chips'], 'chip')}, "
        f"{body['traffic']['hops']:,.0f} message hops a sample"
    )


def number(count: int, what: str) -> str:
    """'1 core', '2 cores'."""
    return f"{count} {what}" + ("" if count == 1 else "s")


def _colour(hue: float, lightness: float) -> str:
    """#rrggbb of a hue in degrees and a lightness in percent."""
    red, green, blue = colorsys.hls_to_rgb(hue / 360, lightness / 100, 0.6)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"


def _routers(chips: int, wide: int, high: int, router: int) -> list[str]:
    """The frame of every router of every chip: the mesh, where no core is used too."""
    return [
        f'<rect x="{EDGE + chip * (wide * router + GAP) + x * router - 3}" y="{EDGE + y * router - 3}" '
        f'width="{router - 6}" height="{router - 6}" rx="4" fill="none" stroke="#ccc" stroke-width="0.5"/>'
        for chip in range(chips)
        for y in range(high)
        for x in range(wide)
    ]


def _corner(core: Mapping[str, Any], geometry: tuple[int, int, int, int]) -> tuple[float, float]:
    wide, router, side, per = geometry
    down, right = divmod(core["slot"] % per, side)
    x = EDGE + core["chip"] * (wide * router + GAP) + core["x"] * router + right * CELL
    return x, EDGE + core["y"] * router + down * CELL


def _square(
    core: Mapping[str, Any], at: tuple[float, float], hue: Mapping[str, int], limits: Mapping[str, Any]
) -> str:
    full = max(core["use"][n] / u["limit"] for n, u in limits.items() if u["limit"])
    name = core["pieces"][0]["population"]
    held = ", ".join(f"{p['population']} {p['start']}..{p['stop']}" for p in core["pieces"])
    tip = escape(f"core {core['core']}: {held}; {full:.0%} of its fullest limit")
    return (
        f'<rect x="{at[0]}" y="{at[1]}" width="{CELL - 2}" height="{CELL - 2}" rx="3" '
        f'fill="{_colour(hue[name], 92 - 50 * min(full, 1.0))}" stroke="#555" stroke-width="0.5">'
        f"<title>{tip}</title></rect>"
    )


def _ways(between: np.ndarray, middles: list[tuple[float, float]]) -> list[str]:
    """The busiest ways, thicker and darker the more messages."""
    ways = np.where(np.eye(len(between), dtype=bool), 0.0, between)
    order = np.argsort(ways, axis=None)[::-1][:ARROWS]
    most = float(ways.max(initial=0.0))
    lines = []
    for flat in order:
        a, b = divmod(int(flat), len(ways))
        if most == 0.0 or ways[a, b] == 0.0:
            break
        share = float(ways[a, b]) / most
        (x1, y1), (x2, y2) = middles[a], middles[b]
        lines.append(
            f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#000" '
            f'stroke-opacity="{0.1 + 0.4 * share:.2f}" stroke-width="{0.4 + 2 * share:.2f}">'
            f"<title>{ways[a, b]:,.0f} messages</title></line>"
        )
    return lines
