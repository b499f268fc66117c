"""What finding boxes costs the pipeline: counted of a keypoint R-CNN, of another detector why it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deploy.pose.boxes import Detector, FileDetector
from verbs.people_energy import COUNTED, UNCOUNTED, PeopleCounter
from verbs.people_run import RunDetector
from verbs.pipeline_energy import StageEnergy, uncounted
from verbs.stage_clock import StageClock

OF_FILE = "boxes of a file: whoever made them paid"
OUTSIDE = "on the CPU, outside any graph: its operations are not known here"


class BoxEnergy:
    """The stage `boxes` of energy.json; a sample is an image."""

    def __init__(
        self, detector: Detector, energy: Callable[[str, dict[str, Any]], StageEnergy], clock: StageClock
    ) -> None:
        self._detector, self._clock = detector, clock
        if isinstance(detector, RunDetector):
            self._counter = PeopleCounter(detector.network)
            left = f"{COUNTED}; not counted: {', '.join(UNCOUNTED)}"
            self._stage = energy(
                "boxes", {"network": detector.name, "by": "torch", "form": "float", "counted_as": left}
            )
            detector.looked = self._add

    def line(self) -> dict[str, Any]:
        """Of energy.json, once all frames were looked at."""
        if isinstance(self._detector, RunDetector):
            return {**self._stage.summary(), "left_out": UNCOUNTED}
        why = OF_FILE if isinstance(self._detector, FileDetector) else OUTSIDE
        return uncounted("boxes", self._detector.name, why)

    def _add(self, image_id: int, proposals: int) -> None:
        with self._clock.stage("counting"):
            self._stage.add(self._counter.count(proposals), [image_id])
