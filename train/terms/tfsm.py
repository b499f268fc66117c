"""TFSM: temporal-frequency spatial semantics of a block's spikes, told apart by class while training.

Of a stage's output S [T, N, C, V] (firing, or real features), two views:

    frequency   log(1 + |rfft_t(S)|), mean over joints            [N, C (T/2 + 1)]
    space       mean over T and over the joints of a body part    [N, C P], parts: trunk, arms, legs
    e = W2 relu(norm(W1 [frequency, space]))                      [N, 128]

    L = w (0.5 CE(U e, label) + 0.1 supcon(e, labels)),  on the last two stages

supcon is the supervised contrastive loss (Khosla et al. 2020, L_out) at temperature 0.1: each sample is
pulled to those of its class in the batch. Signal-SGN's abstract names TFSM, says that it costs nothing at
inference and no more; this form is our reading. The views enter nothing but the loss: the deployed model
never holds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train import whole_batch
from train.config import TrainConfig
from train.objective import Seen, Term, probe
from train.precision import full, unmixed
from train.skeletons import Layout

if TYPE_CHECKING:
    from train.terms.registry import Setting

STAGES = 2  # the last ones
EMBEDDING = 128
TEMPERATURE = 0.1
CLASSIFIER, CONTRAST = 0.5, 0.1  # weights of the two losses


def build(config: TrainConfig, setting: Setting) -> Term | None:
    """The term, where `tfsm` is above 0."""
    if not config.tfsm:
        return None
    stages = probe(setting.model, setting.stages[-STAGES:], setting.shown)
    shapes = {name: _joints_last(s).shape for name, s in stages.items()}
    views = {name: _View(shape, setting.classes, setting.layout) for name, shape in shapes.items()}
    return TFSM(views, config.tfsm)


class TFSM(Term):
    """The losses of some stages, times `weight`."""

    def __init__(self, views: dict[str, _View], weight: float) -> None:
        super().__init__()
        self.watched = tuple(views)
        self.views = nn.ModuleList(views.values())
        self.weight = weight

    def forward(self, seen: Seen) -> dict[str, Tensor]:
        """The classifier's and the contrastive loss, means over the stages; absent persons take no part."""
        there = seen.present.flatten()
        labels = seen.labels.repeat_interleave(seen.present.shape[1])[there]
        parts = [view(seen.taps[name][:, there]) for name, view in zip(self.watched, self.views, strict=True)]
        clips, everybody = len(seen.labels), whole_batch.rows(labels)
        each = [F.cross_entropy(scores, labels, reduction="none") for _, scores in parts]
        classifier = torch.stack([whole_batch.mean(losses, clips) for losses in each]).mean()
        contrast = torch.stack([supcon(whole_batch.rows(e), everybody, TEMPERATURE) for e, _ in parts]).mean()
        return {
            "tfsm-class": self.weight * CLASSIFIER * classifier,
            "tfsm-contrast": self.weight * CONTRAST * contrast,
        }


class _View(nn.Module):
    """One stage: S [T, N, C, V] -> embedding e [N, 128] and class scores [N, K]."""

    def __init__(self, shape: torch.Size, classes: int, layout: Layout) -> None:
        super().__init__()
        steps, _, channels, _ = shape
        parts = body_parts(layout)
        self.register_buffer("parts", parts, persistent=False)
        size = channels * (steps // 2 + 1 + len(parts))
        self.embed = nn.Sequential(
            nn.Linear(size, EMBEDDING), nn.BatchNorm1d(EMBEDDING), nn.ReLU(), nn.Linear(EMBEDDING, EMBEDDING)
        )
        self.classify = nn.Linear(EMBEDDING, classes)

    def forward(self, s: Tensor) -> tuple[Tensor, Tensor]:
        s = _joints_last(s)
        spectrum = torch.fft.rfft(s.float(), dim=0).abs().log1p().mean(-1)  # [F, N, C]
        spatial = s.mean(0) @ self.parts.t()  # [N, C, P]
        views = torch.cat([spectrum.permute(1, 2, 0).flatten(1), spatial.flatten(1)], dim=1)
        e = self.embed(views)
        return e, self.classify(e)


def _joints_last(s: Tensor) -> Tensor:
    """[T, N, C, V]; of a clip shown whole, [T, N, C, F, V], frames are the time and steps are averaged."""
    return s.mean(0).permute(2, 0, 1, 3) if s.dim() == 5 else s


def body_parts(layout: Layout) -> Tensor:
    """[3, V]: trunk, arms, legs; each row averages its joints. Limbs hang on shoulders and hips."""
    rows = torch.zeros(3, layout.size)
    for joint in range(layout.size):
        rows[_part(layout, joint), joint] = 1.0
    return rows / rows.sum(1, keepdim=True)


def _part(layout: Layout, joint: int) -> int:
    """0 trunk, 1 arms, 2 legs: whose shoulder or hip lies on the way to the root."""
    for _ in range(layout.size):
        name = layout.joints[joint]
        if name in ("left shoulder", "right shoulder"):
            return 1
        if name in ("left hip", "right hip"):
            return 2
        if layout.parents[joint] == joint:
            break
        joint = layout.parents[joint]
    return 0


def supcon(e: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """- mean_i 1/|P(i)| sum_{p in P(i)} log softmax_{j != i}(e_i . e_j / temperature)_p, e normalised.

    P(i): the others of i's class; a sample alone in its class is left out, a batch of such gives 0.
    """
    unit = F.normalize(full(e), dim=1)
    itself = torch.eye(len(e), dtype=torch.bool, device=e.device)
    with unmixed(unit):  # of a loss; the temperature makes ten of one error
        logits = (unit @ unit.t() / temperature).masked_fill(itself, float("-inf"))
    same = (labels[:, None] == labels[None]) & ~itself
    counted = same.sum(1)
    log_p = F.log_softmax(logits, dim=1).masked_fill(~same, 0.0)
    each = -log_p.sum(1) / counted.clamp_min(1)
    return each[counted > 0].mean() if bool((counted > 0).any()) else e.sum() * 0.0
