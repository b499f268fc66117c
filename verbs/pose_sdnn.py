"""`convert --to sdnn`: a pose network as a sigma-delta network, its threshold chosen on training people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from convert.artifact import SIGMA_DELTA, is_artifact, new_artifact
from convert.ir import BadInput, Graph, Program, Unsupported, save_graph, save_program
from convert.passes.sigma_delta import LayerReport, Ranges, SigmaDelta, refuse
from verbs.configuring import said
from verbs.options import OF_PEOPLE, cores
from verbs.output import say, table, write_json
from verbs.pose_convert import PARITY, network_graph, seen
from verbs.pose_feed import moved
from verbs.pose_run import KEPT, PoseRun, is_pose, open_pose

if TYPE_CHECKING:
    from deploy.pose.sigma_delta import SigmaDeltaPose
    from train.pose.data.person import PoseSet

PEOPLE = 64  # of training, for ranges and for the threshold
LADDER = (0.1, 0.05, 0.02, 0.01, 0.0)  # thresholds tried, rms of a layer; 0.2 cost 2 points in fast motion
LOSS = 0.005  # of the PCK without a threshold
KEPT_WITHIN = 1.0  # points of torch's PCK, where a threshold is asked for, unless --delta-loss says otherwise
WAY = OF_PEOPLE - 1  # frames of motion before the one that is judged
EXACT = 4  # people on which the simulator is held against the reference


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of a sigma-delta network. threshold: None chooses one; loss: points of PCK, None where
    nothing was said."""

    threshold: float | None
    loss: float | None
    bits: int
    input_bits: int
    carry: bool

    @property
    def bound(self) -> float | None:
        """Points of PCK that an asked-for threshold may cost; None for a chosen one, which LOSS bounds."""
        if self.threshold is None:
            return None
        return KEPT_WITHIN if self.loss is None else self.loss


@dataclass(frozen=True, eq=False)
class Maker:
    """The sigma-delta networks of one float graph: one a threshold. carry: as in `convert.ir.sigma_delta`."""

    graph: Graph
    ranges: Ranges
    codec: Mapping[str, Any]
    heads: tuple[tuple[str, ...], tuple[str, ...]]
    bits: tuple[int, int]
    carry: bool = True

    def made(self, threshold: float) -> Made:
        """The network of that threshold, in rms of each layer."""
        from convert.passes.lower import lower

        build = SigmaDelta(self.ranges, threshold, *self.bits, self.carry)
        integer, host = build(self.graph)
        return Made(threshold, integer, host, lower(integer, self.bits[0]), self, list(build.report))


@dataclass(frozen=True, eq=False)
class Made:
    """One sigma-delta network, and what runs it."""

    threshold: float
    integer: Graph
    host: Graph
    program: Program
    maker: Maker
    report: list[LayerReport] = field(default_factory=list)

    @cached_property
    def decoder(self) -> bytes:
        """The codec's decoder as ONNX."""
        from convert.onnx_model.pose_decoder import decoder_model

        return decoder_model(self.maker.codec).SerializeToString(deterministic=True)

    def network(self) -> SigmaDeltaPose:
        """It on the Loihi simulator."""
        from deploy.pose.sigma_delta import MapReader, SigmaDeltaPose

        reader = MapReader(self.host, self.decoder, *self.maker.heads, "its decoder", cores())
        return SigmaDeltaPose(self.program, reader, cores())


def maker(opened: PoseRun, people: PoseSet, bits: tuple[int, int], carry: bool = True) -> Maker:
    """What makes networks of a run, calibrated on these people."""
    from deploy.calibration import ranges

    graph, settings = network_graph(opened), opened.about["model_config"]
    refuse(graph)  # before the network runs on people
    found = ranges(graph, (x[None].astype(np.float64) for x in seen(opened, people)))
    heads = tuple(settings["heads"]), tuple(settings["kinds"])
    return Maker(graph, found, opened.codec.description(), heads, bits, carry)


def pck(made: Made, opened: PoseRun, people: PoseSet, way: int = 0) -> float:
    """Share of right joints, each person an image from rest, or the last frame of a picture that moved for
    `way` frames (`moved`): then layers hold back what is below their threshold, from every frame."""
    from train.pose.predict import judged, predict

    network = made.network()

    def infer(x: np.ndarray, _: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen = network.video(moved(x, way))
        return seen.xy[-1], seen.score[-1]

    poses = predict(infer, people.people, opened.recipe)
    network.close()
    return judged(poses.xy, people).pooled


def chosen(source: Maker, opened: PoseRun, people: PoseSet) -> Made:
    """The network of the largest threshold of LADDER that costs these people LOSS at most."""
    exact = source.made(0.0)
    floor = pck(exact, opened, people) - LOSS  # without a threshold no past frame counts
    for threshold in LADDER[:-1]:
        made = source.made(threshold)
        if pck(made, opened, people, WAY) >= floor:
            return made
    return exact


def convert_sdnn(
    ctx: click.Context, run: Path, form: str | None, asked: Asked, out: Path, data: Path | None,
    json_path: Path | None,
) -> None:  # fmt: skip
    """Write the artifact of kind sdnn, and print its layers and what it costs in PCK."""
    if asked.loss is not None and asked.threshold is None:
        raise click.UsageError("--delta-loss: belongs to a --delta-threshold F; auto has a bound of its own")
    if is_artifact(run):
        raise BadInput(f"{run}: is an artifact already; convert the run it was made from")
    if run.exists() and not is_pose(run):
        raise Unsupported(
            str(run), "is no pose network, and a spiking one has spikes already", "use --to lava"
        )
    if form is not None or said(ctx, "adjacency"):
        name = "--form" if form is not None else "--adjacency"
        raise click.UsageError(f"{name}: a sigma-delta network has no such setting; leave it out")
    opened = open_pose(run, None)
    people, held_out = _people(opened, data)
    source = maker(opened, people, (asked.bits, asked.input_bits), asked.carry)
    wanted = asked.threshold
    made = chosen(source, opened, people) if wanted is None else source.made(wanted)
    told = _judged(made, opened, held_out)
    _check(run, made, told, asked.bound)
    layers = [asdict(layer) for layer in made.report]
    manifest = {
        "source": {key: opened.about[key] for key in KEPT}, "form": "sigma-delta",
        "checkpoint": {"sha256": opened.digest, "revision": opened.about.get("revision")},
        "quantisation": {
            "bits": asked.bits, "input_bits": asked.input_bits, "threshold": made.threshold,
            "carry": asked.carry, "chosen": "auto" if wanted is None else "asked for",
            "allowed_loss": asked.bound, "calibration_people": len(people),
            "ranges": asdict(source.ranges), "layers": layers,
        },
        "parity_with_torch": told,
    }  # fmt: skip
    with new_artifact(out, SIGMA_DELTA, manifest) as draft:
        save_graph(draft / "float.npz", source.graph)
        save_graph(draft / "integer.npz", made.integer)
        save_graph(draft / "host.npz", made.host)
        save_program(draft / "program.npz", made.program)
        (draft / "decoder.onnx").write_bytes(made.decoder)
        files = sorted((f.name, f.stat().st_size) for f in draft.iterdir())
    write_json(json_path, {"artifact": str(out), **manifest})
    _show(out, made, told, files)


def _people(opened: PoseRun, data: Path | None) -> tuple[PoseSet, PoseSet]:
    """Training people to calibrate on, and held-out ones to judge by; the split is read once."""
    from train.pose.data.person import hold_out

    train, held_out = hold_out(opened.people(None, data, "train", None))
    return train.spread(PEOPLE), held_out.spread(PARITY)


def threshold(text: str | None) -> float | None:
    """A number, or None for 'auto'."""
    if text is None or text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise click.UsageError(f"--delta-threshold {text}: expected auto, or a number from 0 to 100")
    return value


def _check(run: Path, made: Made, told: Mapping[str, Any], bound: float | None) -> None:
    """BadInput where the network of an asked-for threshold costs held-out people more than `bound` points of
    PCK, from rest or in motion. A chosen one that costs more than KEPT_WITHIN is told of on stderr."""
    shares = told["pck"]
    cost, way = max((100 * (shares["torch"] - shares[name]), name) for name in ("from rest", "moving"))
    people = f"{told['people']} held-out people"
    found = f"threshold {made.threshold:g} costs {cost:.2f} points of PCK ({way}, {people})"
    if bound is None and cost > KEPT_WITHIN:
        click.echo(f"warning: {found}; a smaller --delta-threshold or more --bits cost less", err=True)
    elif bound is not None and cost > bound:
        less = "take a smaller one or auto" if made.threshold else "take more --bits"
        raise BadInput(f"{run}: {found}, expected {bound:g} at most; {less}, or allow more by --delta-loss")


def _judged(made: Made, opened: PoseRun, people: PoseSet) -> dict[str, Any]:
    """PCK of held-out people by torch and by the network; BadInput where simulator and reference part."""
    from train.pose.predict import judged, predict

    same = _exact(made, next(seen(opened, people.spread(EXACT))))
    torch = judged(predict(opened.infer, people.people, opened.recipe).xy, people).pooled
    shares = {
        "torch": torch,
        "from rest": pck(made, opened, people),
        "moving": pck(made, opened, people, WAY),
    }
    return {
        "people": len(people),
        "pck": shares,
        "measure": people.keypoints.measure,
        "messages_compared": same,
    }


def _exact(made: Made, x: np.ndarray) -> int:
    """Messages and sums compared between the reference's graph and the simulator's program: all equal."""
    from deploy.reference import values

    video = x[:, None].astype(np.float64)  # people as frames of one video: everything changes
    want = values(made.integer, video)
    names = (*made.integer.spiking(), *made.integer.outputs)
    network = made.network()
    found = network.video(video, made.integer.spiking()).record.rasters
    network.close()
    for name in names:
        if not np.array_equal(want[name], found[name]):
            raise BadInput(
                f"{name}: the simulator's messages are not the reference's; please report the model"
            )
    return sum(want[name].size for name in names)


def _show(out: Path, made: Made, told: Mapping[str, Any], files: list[tuple[str, int]]) -> None:
    rows = []
    for r in made.report:
        exponents, error = ",".join(map(str, r.exponents)), f"{100 * r.weight_error:.2f} %"
        rows.append((r.neuron, f"{r.unit:.3g}", r.vth, r.state_exp, exponents, error))
    head = ("population", "a count is worth", "vth", "state_exp", "weight exps", "rms weight error")
    say(table(head, rows, right=(1, 2, 3, 5)))
    say(f"threshold {made.threshold:g} of a layer's rms")
    shares = ", ".join(f"{name} {100 * share:.2f} %" for name, share in told["pck"].items())
    say(f"PCK of {told['people']} held-out people: {shares}")
    say(f"{told['messages_compared']} messages and sums of loihi-sim equal the reference's")
    for layer in made.report:
        if layer.dropped:
            say(f"{layer.neuron}: nothing from {', '.join(layer.dropped)}, whose weights round to zero")
    say(f"{out}: " + ", ".join(f"{name} {size / 1024:.0f} KiB" for name, size in files))
