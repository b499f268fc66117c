"""Frames to poses: boxes of a detector through a pose network, or the poses of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from convert.artifact import SIGMA_DELTA, is_artifact, open_artifact
from convert.ir import BadInput, Unsupported
from deploy.pose.boxes import Detector, FileDetector
from deploy.pose.coco_file import Boxes
from deploy.pose.footage import Footage, Shot
from deploy.pose.frame_ids import FrameIds, frame_ids
from deploy.pose.greedy import Rule, chosen
from deploy.pose.joints import sigmas
from deploy.pose.nms import oks_nms, rescored
from deploy.pose.oks import stacked
from deploy.pose.people import Frame, Person, Video
from verbs.detectors import boxed, detector, held_to, inside
from verbs.people_run import is_people
from verbs.pipeline_boxes import BoxEnergy
from verbs.pipeline_energy import StageEnergy, uncounted
from verbs.pose_run import PoseRun, is_pose, open_pose
from verbs.stage_clock import StageClock

Energy = Callable[[str, dict[str, Any]], StageEnergy]


class PoseStage(Protocol):
    """joints: names in order; ids: of the frames; about: for the outputs; notes: text -> count."""

    joints: tuple[str, ...]
    ids: FrameIds
    about: dict[str, Any]
    notes: Mapping[str, int]

    def find(self, shot: Shot) -> tuple[Person, ...]:
        """The people of one frame, best first."""
        ...

    def energy(self) -> list[dict[str, Any]]:
        """Lines of energy.json."""
        ...


@dataclass(frozen=True, slots=True)
class Candidates:
    """How candidate boxes are chosen; of poses more alike than `oks` the better one stays."""

    rule: Rule
    oks: float


def pose_stage(
    pose: Path,
    boxes: str,
    footage: Footage,
    candidates: Candidates,
    energy: Energy,
    threads: int | None,
    clock: StageClock,
) -> PoseStage:
    """What --pose names: a run, an artifact, or a file of poses."""
    if pose.is_file() and pose.suffix == ".json":
        return FilePoses(pose, footage)
    if not pose.exists():
        raise BadInput(
            f"{pose}: no such run, artifact or file of poses; make a run with `cli.py train --model ogn`"
        )
    if is_people(pose):
        raise BadInput(
            f"{pose}: is a keypoint R-CNN; name it by --boxes, and a run of `train --model ogn` by --pose"
        )
    if not is_pose(pose):
        raise BadInput(
            f"{pose}: is no pose network; name a run of `train --model ogn`, or what it converts to"
        )
    if is_artifact(pose) and open_artifact(pose).kind == SIGMA_DELTA:
        raise BadInput(
            f"{pose}: is a sigma-delta network, whose changes the pipeline neither keeps from crop to crop "
            "nor counts; name its run, or `convert RUN --to onnx`"
        )
    detected = _detector(boxes, footage, threads)
    return NetworkPoses(open_pose(pose, threads), detected, candidates, energy, clock)


class NetworkPoses:
    """A trained or converted network in the boxes of a detector, image by image."""

    def __init__(
        self,
        opened: PoseRun,
        detected: tuple[Detector, FrameIds],
        candidates: Candidates,
        energy: Energy,
        clock: StageClock,
    ) -> None:
        self.opened, self.candidates, self._clock = opened, candidates, clock
        self.joints = tuple(opened.about["joints"])
        self.detector, self.ids = detected
        self.notes = self.detector.notes
        self._sigmas = sigmas(self.joints)
        self.about = {
            "pose": str(opened.path), "by": opened.by, "form": opened.form, "checkpoint": opened.digest,
            "detector": self.detector.name,
        }  # fmt: skip
        self._boxes = BoxEnergy(self.detector, energy, clock)
        self._counting, self._source, self._why = _counter(opened)
        header = {
            "network": str(opened.path),
            "by": opened.by,
            "form": opened.form,
            "counted_as": "graph of 8-bit integers" if opened.form == "int8" else "float graph",
        }
        self._energy = energy("pose", header)

    def find(self, shot: Shot) -> tuple[Person, ...]:
        if (image_id := self.ids.of(shot.number)) is None:
            return ()
        with self._clock.stage("boxes"):
            found_boxes = self.detector.find(image_id, shot.image)
            width_height = shot.image.shape[1::-1]
            boxes = chosen(inside(found_boxes, width_height, self.detector.notes), self.candidates.rule)
        if not len(boxes):
            return ()
        xy, scores = self._joints(image_id, boxes, shot)
        found = [
            Person(
                keypoints=xy[n], visibility=np.full(len(self.joints), 2, np.int8), scores=scores[n],
                score=float(score), box=boxes.boxes[n], id=_crop_id(image_id, n),
            )
            for n, score in enumerate(rescored(boxes.scores, scores))
        ]  # fmt: skip
        kept = oks_nms(
            stacked(found, len(self.joints)), np.array([p.score for p in found]), self._sigmas,
            self.candidates.oks,
        )  # fmt: skip
        return tuple(found[n] for n in kept)

    def energy(self) -> list[dict[str, Any]]:
        if self._counting is None:
            return [self._boxes.line(), uncounted("pose", str(self.opened.path), self._why)]
        return [self._boxes.line(), self._energy.summary()]

    def _joints(self, image_id: int, boxes: Boxes, shot: Shot) -> tuple[np.ndarray, np.ndarray]:
        """Joints [n, K, 2] and scores [n, K] in the boxes; every crop is counted as it passes."""
        from train.pose.predict import predict

        pixels, place = np.ascontiguousarray(shot.image[..., ::-1]), 0

        def infer(x: np.ndarray, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            nonlocal place
            if self._counting is not None:
                with self._clock.stage("counting"):
                    counts = self._counting.count({self._counting.rasters[0]: self._source.encode(x[None])})
                    self._energy.add(counts, [_crop_id(image_id, place + n) for n in range(len(x))])
            place += len(x)
            return self.opened.infer(x, joints)

        people = [boxed(box, pixels, len(self.joints), image_id) for box in boxes.boxes]
        found = predict(infer, people, self.opened.recipe)
        return found.xy, found.score


class FilePoses:
    """Poses that another program found, or that were annotated: PoseTrack18's or COCO's annotations."""

    def __init__(self, path: Path, footage: Footage) -> None:
        from deploy.pose.annotations import read

        found = read(path)
        self.joints, self.notes, self.path = found.joints, dict(found.notes), path
        self.ids = frame_ids(path, footage)
        self.about = {"pose": str(path), "by": "file"}
        self._people = {frame.image_id: frame.people for frame in found.frames}

    def find(self, shot: Shot) -> tuple[Person, ...]:
        image_id = self.ids.of(shot.number)
        people = () if image_id is None else self._people.get(image_id, ())
        return tuple(replace(p, track_id=None) for p in people if p.there.any() and not p.crowd)

    def energy(self) -> list[dict[str, Any]]:
        return [uncounted("pose", str(self.path), "poses of a file: no network ran")]


def poses_of(footage: Footage, stage: PoseStage, clock: StageClock, advance: Callable[[], None]) -> Video:
    """The people of every frame, before they are followed."""
    frames = []
    unused = 1 + max((stage.ids.found or {}).values(), default=-1)  # for frames that the file does not list
    for shot in clock.each("frames", footage):
        height, width = shot.image.shape[:2]
        known = stage.ids.of(shot.number)
        image_id = unused + shot.number if known is None else known
        name = shot.name or f"{footage.path.name}#{shot.number}"
        with clock.stage("pose"):
            people = stage.find(shot)
        frames.append(Frame(image_id, people, name, width, height, fields={"frame_id": shot.number}))
        advance()
    return Video(footage.path.resolve().stem, stage.joints, tuple(frames))


def _detector(boxes: str, footage: Footage, threads: int | None) -> tuple[Detector, FrameIds]:
    found = detector(boxes, threads)
    if not isinstance(found, FileDetector):
        return found, FrameIds()
    path = Path(boxes)
    ids = frame_ids(path, footage)
    frames = range(footage.frames) if ids.found is None else ids.found.values()
    expected = f"none of them a frame of {footage.path}; a list of results counts frames from 0"
    held_to(found, set(frames), f"the frames of {footage.path.name}", expected)
    return found, ids


def _counter(opened: PoseRun) -> tuple[Any, Any, str]:
    """The counter of the network's graph and its Input, or None twice and why there is no graph."""
    from energy.counts import counter
    from verbs.pose_convert import network_graph
    from verbs.running import pose_graph

    try:
        graph = pose_graph(open_artifact(opened.path)) if opened.model is None else network_graph(opened)
    except Unsupported as why:
        return None, None, str(why)
    return counter(graph), graph.nodes[graph.input()], ""


def _crop_id(image_id: int, place: int) -> int:
    """PoseTrack18's id of an annotation: the image's, then two digits."""
    return 100 * image_id + place
