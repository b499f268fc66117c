"""Late fusion: one decision from the class scores of several models, with weights fitted on validation.

Scores. Member m gives s_m [n, K]. What is common to a sample's classes decides nothing and is taken off; the
rest is divided by one number a member, fitted on validation, so that spike counts, membranes and logits speak
equally loud:

    z_m = (s_m - mean_k s_m) / a_m,     a_m = rms of s_m - mean_k s_m over the validation clips and classes

Fusion. sum_m w_m z_m, w on the simplex (w_m >= 0, sum 1): the sum of scores that multi-stream networks report
(2s-AGCN, CTR-GCN), with weights that were chosen there by hand, here as w = v / sum v of

    v = argmin  sum_i CE(y_i, softmax(sum_m v_m z_m,i))  +  sum_m (v_m - mean v)^2 / (2 (SPREAD G / M)^2)
        v >= 0

CE is cross-entropy in nats against labels smoothed by SMOOTHING, as in training, which keeps v finite where
every clip is right. The second term is a prior, for validation is small (NW-UCLA: 102 clips): equal weights,
each give or take the share SPREAD of it; G is the largest gain g at which softmax(g z) fits best, z the mean
of the members or one alone, so that G / M is about what an equal v_m is. Members that the clips cannot tell
apart get equal weights; many clips outvote the prior. sum v is left free, and kept as the gain.

Why so: cross-entropy of a softmax is convex in v, and so is the prior: there is one minimum, and `fit` proves
that it was reached (the duality gap on the box 0 <= v <= MOST). Accuracy would be a staircase with many equal
treads. Weights below 0, votes against a member, are noise at this size.

    ValueError
      FusionError     scores that cannot be fused (exit code 3)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

Scores = NDArray[np.float64]

SMOOTHING = 0.1
SPREAD = 0.5
MOST = 30.0
"""Of a gain and of a v_m: at 1 to 3, scores of rms 1 are all but certain of a class."""
GAP = 1e-5
"""Nats a clip by which a fit may miss the minimum: far below what moves a weight's third digit."""


class FusionError(ValueError):
    """Scores that cannot be fused: which member, what was found, what to do."""

    exit_code: ClassVar[int] = 3


@dataclass(frozen=True, slots=True)
class Fusion:
    """One weight (sum 1) and one scale [score units] a member; softmax(gain * fused) are probabilities."""

    weights: tuple[float, ...]
    scales: tuple[float, ...]
    gain: float = 1.0

    def equal(self) -> Fusion:
        """The same scales, every member with the same say."""
        return replace(self, weights=(1.0 / len(self.scales),) * len(self.scales))

    def fused(self, scores: Sequence[NDArray]) -> Scores:
        """sum_m w_m z_m, float64 [n, K], of scores [n, K] in the order of the members."""
        return np.einsum("m,mnk->nk", np.array(self.weights), normalised(scores, self.scales))


def centred(scores: NDArray) -> Scores:
    """scores [n, K] less the mean over the classes of each sample."""
    values = np.asarray(scores, np.float64)
    return values - values.mean(axis=1, keepdims=True)


def normalised(scores: Sequence[NDArray], scales: Sequence[float]) -> Scores:
    """z, float64 [M, n, K]."""
    return np.stack([centred(s) / a for s, a in zip(scores, scales, strict=True)])


def fit(scores: Sequence[NDArray], labels: NDArray[np.int64], names: Sequence[str] = ()) -> Fusion:
    """Scales, gain and weights of members by their scores [n, K] on validation clips with labels [n].

    names: what errors call the members. FusionError where a member gives every class the same score on every
    clip, or a score is not finite.
    """
    scales = tuple(_scale(s, names[m] if m < len(names) else f"member {m}") for m, s in enumerate(scores))
    z = normalised(scores, scales)
    wanted = _smoothed(labels, z.shape[2])
    most = max(_gain(one, wanted) for one in (z.mean(axis=0), *z))
    v = _minimum(z, wanted, most / len(z)) if most > 0 else np.zeros(len(z))
    if not v.any():  # no member is better than chance: none deserves more than another
        return Fusion((1.0 / len(z),) * len(z), scales, 0.0)
    return Fusion(tuple(float(x) for x in v / v.sum()), scales, float(v.sum()))


def cross_validated(
    scores: Sequence[NDArray],
    labels: NDArray[np.int64],
    groups: Sequence[str],
    names: Sequence[str] = (),
    parts: int = 5,
) -> Scores | None:
    """Fused scores [n, K] in which each clip is judged by a fit on the other parts: what a fit is worth, told
    without the test. Clips of one group (views of a performance) stay together; None for a single group."""
    order = {name: place for place, name in enumerate(dict.fromkeys(groups))}
    if (parts := min(parts, len(order))) < 2:
        return None
    part = np.array([order[name] % parts for name in groups])
    out = np.empty(np.shape(scores[0]), np.float64)
    for p in range(parts):
        rest = part != p
        found = fit([s[rest] for s in scores], labels[rest], names)
        out[~rest] = found.fused([s[~rest] for s in scores])
    return out


def _scale(scores: NDArray, name: str) -> float:
    """a_m of one member."""
    if not np.isfinite(scores).all():
        raise FusionError(f"{name}: a score that is NaN or infinite; train or convert the model again")
    found = float(np.sqrt(np.mean(centred(scores) ** 2)))
    if found <= 1e-12 * float(np.abs(scores).max(initial=1.0)):
        raise FusionError(
            f"{name}: gives all classes the same score on each of {len(scores)} validation clips, so that it "
            "decides nothing; leave it out"
        )
    return found


def _smoothed(labels: NDArray[np.int64], classes: int) -> Scores:
    """Wanted probabilities [n, K]."""
    return (1 - SMOOTHING) * np.eye(classes)[labels] + SMOOTHING / classes


def _loss(logits: Scores, wanted: Scores) -> tuple[float, Scores]:
    """Cross-entropy [nats a clip], and its gradient by the logits [n, K]."""
    top = logits.max(axis=1, keepdims=True)
    power = np.exp(logits - top)
    total = power.sum(axis=1, keepdims=True)
    log_p = logits - top - np.log(total)
    return float(-(wanted * log_p).sum() / len(logits)), (power / total - wanted) / len(logits)


def _gain(z: Scores, wanted: Scores) -> float:
    """The g at which softmax(g z), z [n, K], fits best: a convex function of one number. 0 where z is no
    better than chance."""
    if _loss(0.0 * z, wanted)[1].ravel() @ z.ravel() >= 0.0:
        return 0.0
    found = minimize_scalar(lambda g: _loss(g * z, wanted)[0], bounds=(0.0, MOST), method="bounded")
    return float(found.x)


def objective(
    v: NDArray[np.float64], z: Scores, wanted: Scores, usual: float
) -> tuple[float, NDArray[np.float64]]:
    """What `fit` minimises, over the number of clips, at v [M]; and its gradient [M]. usual: G / M."""
    stiffness = 1.0 / ((SPREAD * usual) ** 2 * z.shape[1])
    loss, slope = _loss(np.einsum("m,mnk->nk", v, z), wanted)
    apart = v - v.mean()
    return loss + stiffness * float(apart @ apart) / 2, np.einsum("nk,mnk->m", slope, z) + stiffness * apart


def _minimum(z: Scores, wanted: Scores, usual: float) -> NDArray[np.float64]:
    """The v of the minimum, proven: a convex function lies above its tangent, so that no point of the box is
    lower than the found one by more than <slope, v> + MOST * (what of the slope is below 0)."""
    found = minimize(
        objective,
        np.full(len(z), usual),
        args=(z, wanted, usual),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, MOST)] * len(z),
        options={"ftol": 0.0, "gtol": 1e-10, "maxiter": 10_000, "maxfun": 10_000},
    )
    slope = objective(found.x, z, wanted, usual)[1]
    gap = float(slope @ found.x + MOST * np.maximum(-slope, 0.0).sum())
    if not gap <= GAP:
        raise FusionError(f"the fit of {len(z)} weights ended {gap:.2g} nats a clip above its minimum")
    return found.x
