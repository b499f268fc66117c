"""Assemble a page: one HTML file that holds its style, its script and its data, and asks no network for more.

The content policy forbids every request and lets nothing run but the script that stands in the file, by its
hash. Data is embedded as JSON in which no '<' occurs, so that no name in it can end its element.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from energy.page_data import page_data
from energy.rows import Json
from energy.shown import Shown
from energy.sums import Sums

PAGE = Path(__file__).parent / "page"
SHARED = ("dom", "numbers", "state", "shell", "chart", "logchart", "table")
REPORT = (
    "headline", "layers", "heat", "player", "skeleton", "raster", "classes", "samples", "conventions",
    "twins", "uncounted", "provenance", "report",
)  # fmt: skip


def report_page(body: Json, sums: Sums, shown: Shown) -> str:
    """report.html of a closed report."""
    return assembled("report", "Energy report", REPORT, page_data(body, sums, shown))


def compare_page(result: Json) -> str:
    """The page of `energy.compare.compared`."""
    return assembled("compare", "Energy compared", ("pareto", "compare"), result)


def assembled(name: str, title: str, scripts: tuple[str, ...], data: Any) -> str:
    """PAGE/name.html in the shell of both pages, with style, the named scripts in order, and data."""
    parts = [(PAGE / "js" / f"{part}.js").read_text(encoding="utf-8") for part in (*SHARED, *scripts)]
    script = '(() => {\n"use strict";\n' + "\n".join(parts) + "})();\n"
    style = (PAGE / "page.css").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {_sealed(style)}; script-src {_sealed(script)}"
    )
    values = {
        "policy": policy, "title": title, "style": style, "script": script, "data": embedded(data),
        "main": (PAGE / f"{name}.html").read_text(encoding="utf-8"),
    }  # fmt: skip
    shell = (PAGE / "shell.html").read_text(encoding="utf-8")
    return re.sub("@@([a-z]+)@@", lambda mark: values[mark[1]], shell)


def embedded(data: Any) -> str:
    """JSON that is safe inside <script type="application/json">, whatever text is in it."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _sealed(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"
