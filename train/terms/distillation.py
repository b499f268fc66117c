"""Distillation: a student learns from a teacher's inner layers and from its soft scores (MK-SGN).

    L = alpha sum_l || FTM_l(T_l) - R_l ||^2 / numel  +  beta tau^2 KL( softmax(t / tau) || softmax(s / tau) )

    R_l     what the student's stage l gives, [N, C, F, V]: its firing rates, mean over the steps that show a
            clip; where a step is a frame (T = F), the rate of a frame is its one step's spike
    T_l     what the teacher's stage of the same relative depth gives, [N, C', F', V]: of L_s and L_t stages,
            the student's l-th learns from the teacher's ceil(l L_t / L_s)-th, both counted from 1
    FTM_l   sigmoid(resize_frames(BN(conv1x1(T_l)))): real features as rates; trained with the student, and
            begun at its rate: begun at sigmoid(0) it would teach a student that fires at 0.1 to fire at 0.5,
            for weights move sooner than one bias does
    t, s    class scores [B, K] of teacher and student, the mean over persons; KL the mean over samples

alpha `distil_features`, beta `distil_labels`, tau `temperature` of the training config; 0 leaves a part
out. The teacher is frozen and in evaluation. It is no part of the term's state: of it a run keeps the
sha256. Absent persons take no part.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train import whole_batch
from train.config import TrainConfig
from train.evaluate import mean_over_persons
from train.layers import ChannelMix, ChannelNorm
from train.objective import Seen, Term, tapped
from train.teacher import Teacher, TeacherError, clip_of, per_clip

if TYPE_CHECKING:
    from train.terms.registry import Setting

LEAST = 0.02
"""What an FTM begins at where the student is silent, and as far from 1: a sigmoid at 0 would not learn."""


def build(config: TrainConfig, setting: Setting) -> Term | None:
    """The term, where the run has a teacher."""
    teacher = setting.teacher
    if teacher is None:
        return None
    pairs: dict[str, str] = {}
    if config.distil_features:
        pairs = paired(setting.stages, _stages(teacher))
    theirs = teacher.look(clip_of(setting.sample), tuple(pairs.values()))[1]
    ours = _fresh(setting, tuple(pairs))
    shapes = {a: (theirs[b].shape[1], per_clip(ours[a]).shape[1]) for a, b in pairs.items()}
    maps = [FTM(*shape, float(ours[a].mean())) for a, shape in shapes.items()]
    weights = (config.distil_features, config.distil_labels)
    return Distillation(teacher, pairs, maps, weights, config.temperature)


def _fresh(setting: Setting, stages: tuple[str, ...]) -> dict[str, Tensor]:
    """What the student's stages give as training begins: a fresh model's running statistics are nobody's."""
    model = copy.deepcopy(setting.model).train()
    with torch.no_grad(), tapped(model, stages) as taps:
        model(setting.shown)
    return taps


def paired(student: tuple[str, ...], teacher: tuple[str, ...]) -> dict[str, str]:
    """Stage of the student -> stage of the teacher, of the same relative depth."""
    depth = len(teacher) / len(student)
    return {name: teacher[math.ceil((i + 1) * depth - 1e-9) - 1] for i, name in enumerate(student)}


def _stages(teacher: Teacher) -> tuple[str, ...]:
    if not teacher.stages:
        raise TeacherError(
            f"teacher {teacher.path}: found a {teacher.about['model']}, which names no stages; "
            "learn from its scores alone with distil_features=0"
        )
    return teacher.stages


class FTM(nn.Module):
    """Feature translation: real features [N, C', F', V] -> rates [N, C, F, V] in (0, 1), around `rate` at
    the start."""

    def __init__(self, c_in: int, c_out: int, rate: float) -> None:
        super().__init__()
        self.mix, self.norm = ChannelMix(c_in, c_out), ChannelNorm(c_out)
        rate = min(max(rate, LEAST), 1.0 - LEAST)
        nn.init.constant_(self.norm.bias, math.log(rate / (1.0 - rate)))

    def forward(self, y: Tensor, frames: int) -> Tensor:
        """Frames are resized by straight lines between them."""
        z = self.norm(self.mix(y.transpose(2, 3)[None]))[0].transpose(
            2, 3
        )  # layers have joints before frames
        if z.shape[2] != frames:
            z = F.interpolate(z, (frames, z.shape[3]), mode="bilinear", align_corners=False)
        return z.sigmoid()


class Distillation(Term):
    """pairs: stage of the student -> of the teacher; maps: an FTM a pair; weights: (alpha, beta)."""

    def __init__(
        self, teacher: Teacher, pairs: dict[str, str], maps: list[FTM], weights: tuple[float, float],
        temperature: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.teacher = teacher  # no module: its weights are neither trained nor stored with the run
        self.pairs, self.watched = pairs, tuple(pairs)
        self.maps = nn.ModuleList(maps)
        self.weights, self.temperature = weights, temperature

    def forward(self, seen: Seen) -> dict[str, Tensor]:
        """The parts that have a weight."""
        there = (seen.present | ~seen.present.any(1, keepdim=True)).flatten()
        clip = clip_of(seen.x)
        scores, features = self.teacher.look(clip, tuple(self.pairs.values()))
        (alpha, beta), parts = self.weights, {}
        if alpha:
            pairs = zip(self.pairs.items(), self.maps, strict=True)
            clips = len(seen.labels)
            losses = [
                whole_batch.mean(_distances(ftm, features[b][there], per_clip(seen.taps[a])[there]), clips)
                for (a, b), ftm in pairs
            ]
            parts["distil-features"] = alpha * sum(losses[1:], losses[0])
        if beta:
            soft = mean_over_persons(scores, seen.present)
            parts["distil-labels"] = beta * divergence(soft, seen.scores, self.temperature)
        return parts


def _distances(ftm: FTM, features: Tensor, rates: Tensor) -> Tensor:
    """Mean square of each row, [N]."""
    return (ftm(features, rates.shape[2]) - rates).square().flatten(1).mean(1)


def divergence(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """tau^2 KL(softmax(teacher / tau) || softmax(student / tau)), mean over samples; scores [B, K]."""
    t, s = (F.log_softmax(scores / temperature, dim=1) for scores in (teacher, student))
    return temperature**2 * F.kl_div(s, t, reduction="batchmean", log_target=True)
