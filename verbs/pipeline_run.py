"""The stages of the pipeline, one after the other, into a draft folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convert.ir import BadInput
from deploy.pose.footage import Footage
from deploy.pose.greedy import Rule
from deploy.pose.joints import sigmas
from deploy.pose.people import Video
from deploy.pose.posetrack import write_poses
from deploy.pose.tracking import Rules, Tracked, track
from deploy.pose.windows import Cut, windows
from verbs.output import bar, say, table, write_json
from verbs.pipeline_actions import ActionStage
from verbs.pipeline_energy import CONVENTION, StageEnergy, uncounted
from verbs.pipeline_outputs import Told, action_table, actions, render
from verbs.pipeline_poses import Candidates, PoseStage, pose_stage, poses_of
from verbs.pipeline_speed import speed, speed_table
from verbs.pose_options import show_notes
from verbs.stage_clock import StageClock

if TYPE_CHECKING:
    from energy.costs import CostTable

TRACKER = "matching on the CPU, outside any graph: its operations are not known here"


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What the command line asks for; rules: thresholds of boxes, poses and tracks by option."""

    footage: Footage
    pose: Path
    action: Path
    boxes: str
    prices: CostTable
    cut: Cut
    render: str
    target: str | None
    threads: int | None
    rules: Mapping[str, Any]

    @property
    def candidates(self) -> Candidates:
        """Of the pose network."""
        r = self.rules
        return Candidates(Rule(r["score_threshold"], r["nms_iou"], r["cap"]), r["nms_oks"])

    @property
    def tracking(self) -> Rules:
        """Of the tracker."""
        return Rules(**{k: self.rules[k] for k in ("joint_threshold", "birth", "min_hits")})


def run(plan: Plan, draft: Path) -> dict[str, Any]:
    """Fill the folder; what `--json` says of it. An error leaves the rest to whoever removes the folder."""
    stages: list[StageEnergy] = []
    clock = StageClock()

    def energy(name: str, header: dict[str, Any]) -> StageEnergy:
        stages.append(StageEnergy(name, draft / "energy" / name, plan.prices, header))
        return stages[-1]

    try:
        poses = pose_stage(plan.pose, plan.boxes, plan.footage, plan.candidates, energy, plan.threads, clock)
        acts = ActionStage(plan.action, poses.joints, plan.target, plan.threads, energy, clock)
        try:
            return _fill(plan, poses, acts, stages, clock, draft)
        finally:
            acts.close()
    except BaseException:
        for stage in stages:
            stage.discard()
        raise


def _fill(
    plan: Plan, poses: PoseStage, acts: ActionStage, stages: list[StageEnergy], clock: StageClock, draft: Path
) -> dict[str, Any]:
    found = _found(plan.footage, poses, clock)
    with clock.stage("track"):
        tracked = track(found, plan.tracking, sigmas(poses.joints))
    with clock.stage("skeletons"):
        found_windows = list(windows(tracked.video, acts.mapping, plan.cut))
    with clock.stage("action"):
        answers = acts.answers([w for w in found_windows if w.joints is not None])
    counted = {stage.name for stage in stages}
    pose_pj = next((stage.pj for stage in stages if stage.name == "pose"), {})
    told = Told(tracked.video, acts.classes, answers, [w for w in found_windows if w.joints is None], pose_pj)
    with clock.stage("rendering"):
        form = _rendered(plan, told, "tracking is" if "boxes" in counted else "boxes and tracking are", draft)
    write_poses(draft / "poses.json", [found])
    write_poses(draft / "tracks.json", [tracked.video])
    entries = actions(told)
    about = {
        "video": str(plan.footage.path), "fps": plan.footage.fps, "frames": len(found.frames), **acts.about,
        **poses.about, "windows": asdict(plan.cut), "thresholds": dict(plan.rules),
        "rendering": form, "notes": dict(poses.notes), "dropped": tracked.dropped,
    }  # fmt: skip
    body = {**about, "classes": list(acts.classes), "tracks": entries}
    write_json(draft / "actions.json", body)
    lines = _energy(plan, poses, acts, tracked)
    write_json(draft / "energy.json", lines)
    show_notes(poses.notes)
    pace = speed(clock.seconds, len(found.frames))
    _print(tracked, entries, lines)
    say(speed_table(pace))
    return {**body, "energy": lines, "speed": pace}


def _found(footage: Footage, poses: PoseStage, clock: StageClock) -> Video:
    """Poses of all frames; a file that gives fewer frames than it announces is told of."""
    with bar(footage.frames, "poses") as shown:
        found = poses_of(footage, poses, clock, _by_one(shown))
    if not found.frames:
        raise BadInput(f"{footage.path}: not one frame decodes; convert it to mp4 or to a folder of images")
    if len(found.frames) < footage.frames:
        show_notes(
            {f"{footage.path.name}: frames announced that do not decode": footage.frames - len(found.frames)}
        )
    return found


def _rendered(plan: Plan, told: Told, left_out: str, draft: Path) -> str:
    notes = f"energy by {plan.prices.name}, {CONVENTION} count; {left_out} not counted"
    with bar(len(told.video.frames), "rendering") as shown:
        return render(told, plan.footage, draft, plan.render, notes, _by_one(shown))


def _by_one(shown: Any) -> Callable[[], None]:
    def step() -> None:
        shown.update(1)

    return step


def _energy(plan: Plan, poses: PoseStage, acts: ActionStage, tracked: Tracked) -> dict[str, Any]:
    """energy.json: a line a stage, and the sum of what was counted."""
    stages = [*poses.energy(), uncounted("track", "tracker", TRACKER), *acts.energy()]
    counted = [stage["total_mj"] for stage in stages if stage.get("total_mj") is not None]
    return {
        "cost_table": plan.prices.describe(), "convention": CONVENTION, "frames": len(tracked.video.frames),
        "stages": stages, "counted_mj": sum(counted) if counted else None,
        "not_counted": [stage["stage"] for stage in stages if not stage["counted"]],
    }  # fmt: skip


def _print(tracked: Tracked, entries: list[dict[str, Any]], energy: dict[str, Any]) -> None:
    if entries:
        say(action_table(entries))
    else:
        say("no person in any frame: the files hold the frames and nobody")
    for entry in entries:
        for window in entry["windows"]:
            if "why" in window:
                say(
                    f"track {entry['track_id']}, frames {window['start']} to {window['stop'] - 1}: "
                    f"{window['why']}"
                )
    rows = [
        (s["stage"], s.get("samples", "-"), *(f"{s[k]:.4g}" if s.get(k) is not None else "-" for k in
         ("mean_mj", "total_mj")), "" if s["counted"] else s["why"])
        for s in energy["stages"]
    ]  # fmt: skip
    say(table(("stage", "samples", "mJ each", "mJ", "not counted because"), rows, right=(1, 2, 3)))
    for s in energy["stages"]:
        if left := s.get("left_out"):
            said = "; ".join(f"{what} ({why})" for what, why in left.items())
            say(f"{s['stage']}: not counted are {said}")
