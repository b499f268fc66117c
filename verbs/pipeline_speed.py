"""How fast the pipeline went: seconds of each stage, frames a second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verbs.output import table

STAGES = ("frames", "boxes", "pose", "track", "skeletons", "action")
ASIDE = ("counting", "rendering")  # of energy, of the result: recognising needs neither


def speed(seconds: Mapping[str, float], frames: int) -> dict[str, Any]:
    """seconds: stage -> wall clock, loading of networks left out. Frames a second of recognising, from frames
    to actions, and with counting and rendering.
    """
    took = {stage: seconds[stage] for stage in sorted(seconds, key=(*STAGES, *ASIDE).index)}
    recognising = sum(s for stage, s in took.items() if stage not in ASIDE)
    return {
        "frames": frames, "seconds": took, "frames_per_s": frames / recognising,
        "frames_per_s_with_all": frames / sum(took.values()),
    }  # fmt: skip


def speed_table(pace: Mapping[str, Any]) -> str:
    """For people."""
    rows = [
        (stage, f"{took:.2f}", f"{1e3 * took / pace['frames']:.2f}")
        for stage, took in pace["seconds"].items()
    ]
    total = f"{pace['frames_per_s']:.2f} frames/s from frames to actions"
    aside = f"{pace['frames_per_s_with_all']:.2f} with {' and '.join(ASIDE)}"
    return table(("stage", "s", "ms a frame"), rows, right=(1, 2)) + f"\n{total}, {aside}"
