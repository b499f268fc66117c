"""Recall curves as a picture: mean candidates an image to the right, recall upwards. Plain SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from deploy.pose.recall import Curve

WIDE, HIGH, EDGE = 520, 300, 48
COLOURS = ("#1f6fb4", "#c2410c", "#15803d", "#7c3aed", "#b91c1c", "#0e7490")


def svg(curves: Sequence[Curve], threshold: float) -> str:
    """The curves at one IoU threshold, in one frame with a legend."""
    most = max(float(one.candidates[-1]) for one in curves) or 1.0
    height = HIGH + 2 * EDGE + 18 * (len(curves) + 1)
    first = curves[0]
    title = f"recall at IoU {threshold:g}: {first.n_people} people in {first.n_images} images"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE + 2 * EDGE} {height}" '
        f'width="{WIDE + 2 * EDGE}" height="{height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDE + 2 * EDGE}" height="{height}" fill="#ffffff"/>',
        f'<text x="{EDGE}" y="24" font-size="14">{escape(title)}</text>',
        *_axes(most),
    ]
    for place, one in enumerate(curves):
        colour = COLOURS[place % len(COLOURS)]
        row = one.recall[one.thresholds.index(threshold)]
        points = [(0.0, 0.0), *zip(one.candidates, row, strict=True)]
        line = " ".join(f"{_x(x, most):.1f},{_y(y):.1f}" for x, y in points)
        width = 2 + 2.5 * (len(curves) - 1 - place)  # curves share their beginning: the first shows behind
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="{width}"/>')
        below = HIGH + 2 * EDGE + 18 * (place + 1)
        parts.append(f'<rect x="{EDGE}" y="{below - 9}" width="10" height="10" fill="{colour}"/>')
        end = f"{one.name}: {row[-1]:.3f} with {one.candidates[-1]:.1f} candidates an image"
        parts.append(f'<text x="{EDGE + 16}" y="{below}">{escape(end)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _x(candidates: float, most: float) -> float:
    return EDGE + WIDE * float(candidates) / most


def _y(recall: float) -> float:
    return EDGE + HIGH * (1 - float(recall))


def _axes(most: float) -> list[str]:
    low = EDGE + HIGH + 32
    parts = [f'<text x="{EDGE + WIDE / 2}" y="{low}" text-anchor="middle">candidates an image</text>']
    for step in range(6):
        y, x = _y(step / 5), _x(most * step / 5, most)
        parts.append(f'<path d="M{EDGE} {y:.1f}H{EDGE + WIDE}" stroke="#dddddd"/>')
        parts.append(f'<text x="{EDGE - 6}" y="{y + 4:.1f}" text-anchor="end">{step / 5:.1f}</text>')
        parts.append(
            f'<text x="{x:.1f}" y="{EDGE + HIGH + 15}" text-anchor="middle">{most * step / 5:.1f}</text>'
        )
    return parts
