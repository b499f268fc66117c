"""What the page shows of single samples: light rows of many, and rasters, layers and a skeleton of a few.

Both are bounded whatever the size of the data set: of more than MOST_ROWS samples every 2nd, 4th, 8th... row
stays, and of a raster with more neurons than MOST_NEURONS that many, evenly spaced.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from energy.rows import Json

MOST_ROWS, MOST_NEURONS = 400, 192


class Shown:
    """Collects as chunks are written. chosen: ids of the samples to show closely, in the page's order."""

    def __init__(
        self, chosen: Collection[str | int] = (), skeletons: Mapping[str | int, Json] | None = None
    ) -> None:
        """skeletons: id -> `skeleton(...)` of a chosen sample."""
        self.chosen, self.skeletons = list(chosen), dict(skeletons or {})
        self.rows: list[Json] = []
        self.every, self._seen = 1, 0
        self.close: dict[str | int, Json] = {}

    def add(self, rows: list[Json], rasters: list[Json]) -> None:
        """The rows of a chunk and the rasters (`rasters(...)`) that came with it."""
        for row in rows:
            if row["sample_id"] in self.chosen:
                self.close[row["sample_id"]] = _near(row)
            if self._seen % self.every == 0:
                self.rows.append(_light(row))
            self._seen += 1
            if len(self.rows) > MOST_ROWS:
                self.rows, self.every = self.rows[::2], 2 * self.every
        for drawn in rasters:
            self.close[drawn["sample_id"]]["rasters"] = drawn["rasters"]

    def samples(self) -> list[Json]:
        """The chosen samples that came, in order."""
        return [
            {**self.close[name], "skeleton": self.skeletons.get(name)}
            for name in self.chosen
            if name in self.close
        ]


def _light(row: Json) -> Json:
    who = {key: row[key] for key in ("sample_id", "label", "prediction", "correct", "latency_s")}
    counts = {key: row["totals"][key] for key in ("spikes_out", "sop_exact")}
    return {**who, **counts, "pj": row["energy"] and {c: e["total_pj"] for c, e in row["energy"].items()}}


def _near(row: Json) -> Json:
    steps = [layer["by_step"] and layer["by_step"]["spikes_out"] for layer in row["layers"]]
    energy = [layer["energy_pj"] for layer in row["layers"]]
    return {**_light(row), "layer_pj": energy, "spikes_by_step": steps, "rasters": []}


def rasters(sample_id: str | int, spikes: Mapping[str, np.ndarray]) -> Json:
    """Spikes of one sample for the page. spikes: population -> [T, *shape], not 0 where one fired."""
    drawn = []
    for name, values in spikes.items():
        fired = values.reshape(len(values), -1) != 0
        size = fired.shape[1]
        kept = min(size, MOST_NEURONS)
        some = fired[:, np.arange(kept) * size // kept]
        bits = base64.b64encode(np.packbits(some.T).tobytes()).decode("ascii")
        drawn.append({
            "name": name, "steps": len(fired), "neurons": size, "shown": kept,
            "spikes": int(fired.sum()), "bits": bits,
        })  # fmt: skip
    return {"sample_id": sample_id, "rasters": drawn}


def skeleton(joints: np.ndarray, bones: Collection[tuple[int, int]], names: Collection[str]) -> Json:
    """joints: [F, V, 2 or 3], y up; bones: (child, parent).  Thousandths of the body's largest extent."""
    flat = joints.reshape(-1, joints.shape[-1]).astype(np.float64)
    low, high = flat.min(axis=0), flat.max(axis=0)
    unit = float((high - low).max()) or 1.0
    placed = np.rint(1000 * (joints - low) / unit).astype(int)
    return {
        "joints": placed.tolist(), "size": np.rint(1000 * (high - low) / unit).astype(int).tolist(),
        "bones": [list(bone) for bone in bones], "names": list(names),
    }  # fmt: skip


def evenly(ids: Collection[Any], count: int) -> list[Any]:
    """`count` ids at evenly spaced places, the first included; all where there are fewer."""
    known = list(ids)
    kept = min(count, len(known))
    return [known[i * len(known) // kept] for i in range(kept)] if kept else []
