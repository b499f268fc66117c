"""SMF, spiking multimodal fusion by mutual information (MK-SGN): gates by relevance less redundancy.

S [T, N, M C, V, F] are the spikes of M modalities, stacked along the channels. For channel c of modality m,
with Y the class of a clip and I the mutual information [nats] of what one neuron does in one step:

    relevance_m = I(S_m; Y)      redundancy_m = 1/(M-1) sum_{m' != m} I(S_m; S_m')
    g_m = softmax_m( sharpness (relevance_m - redundancy_m) )               y = W (g . S)

The variables are binary and the classes K, so that the tables of joint frequencies, 2 x K and 2 x 2, are
exact on a batch. Training keeps their running average and gates by it; at inference the gates are frozen
and g folds into W: one 1x1 convolution, nothing of its own to compute. The abstract names the method and no
formula: tables per channel, pooled over joints, frames and steps, and the mean of the redundancies are our
reading. One spike tells little of a class, some 0.001 to 0.1 nats: `sharpness` brings that into the
softmax's range.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.labelled import Labelled
from train.layers import channels_last, channels_second
from train.precision import unmixed
from train.synchronised import pooled

MOMENTUM = 0.1  # of the running tables, as batch norm's


class ModalityFusion(Labelled):
    """y[o, ...] = sum_m sum_c W[o, m C + c] g[m, c] S[m C + c, ...]: [T, N, M C, ...] -> [T, N, out, ...].

    weight [out, M C]. Running tables: fired [M, C, K] = p(S_m = 1, Y), classes [K] = p(Y), both [M, M, C] =
    p(S_m = 1, S_m' = 1). gates [M, C] sum to 1 over m.
    """

    def __init__(
        self, modalities: int, c_in: int, c_out: int, classes: int, sharpness: float, gated: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(c_out, modalities * c_in))
        nn.init.kaiming_normal_(self.weight, mode="fan_out")
        self.sharpness = sharpness
        self.gated = gated
        self.register_buffer("fired", torch.zeros(modalities, c_in, classes))
        self.register_buffer("classes", torch.full((classes,), 1.0 / classes))
        self.register_buffer("both", torch.zeros(modalities, modalities, c_in))
        self.register_buffer("gates", torch.full((modalities, c_in), 1.0 / modalities))
        self.register_buffer("batches", torch.tensor(0))

    @property
    def folded(self) -> Tensor:
        """[out, M C]: the weight with the gates in it."""
        return self.weight * self.gates.flatten()

    def forward(self, s: Tensor) -> Tensor:
        """Spikes in, currents out; in training with labels the tables take in this batch first."""
        rows = channels_last(s)
        if self.gated and self.training and self.labels is not None:
            self._take_in(rows, self.labels)
        return channels_second(F.linear(rows, self.folded))

    @torch.no_grad()
    def _take_in(self, rows: Tensor, labels: Tensor) -> None:
        """Tables of this batch into the running ones, and the gates anew. rows [T, N, ..., M C]."""
        running_tables = (self.fired, self.classes, self.both)
        there = labels >= 0
        clips = int(there.sum())
        found = tuple(map(torch.zeros_like, running_tables))
        if clips:
            here = rows if clips == len(labels) else rows[:, there]
            with unmixed(rows):  # a frequency of 8 bits would be off by more than what is told of a class
                found = tables(here, labels[there], self.fired.shape)
        found, clips = pooled(found, clips)
        if not clips:
            return
        step = MOMENTUM if self.batches > 0 else 1.0
        for running, new in zip(running_tables, found, strict=True):
            running.lerp_(new, step)
        self.batches += 1
        score = relevance(self.fired, self.classes) - redundancy(self.both)
        self.gates.copy_(torch.softmax(self.sharpness * score, dim=0))


def tables(rows: Tensor, labels: Tensor, shape: torch.Size) -> tuple[Tensor, Tensor, Tensor]:
    """Joint frequencies of one batch: fired [M, C, K], classes [K], both [M, M, C].

    rows [T, N, ..., M C] of 0 and 1, labels [N], shape (M, C, K).
    """
    modalities, channels, classes = shape
    one_hot = F.one_hot(labels, classes).to(rows.dtype)
    per_clip = rows.flatten(2, -2).mean((0, 2))  # [N, M C]
    fired = (per_clip.t() @ one_hot / len(labels)).view(shape)
    each = rows.reshape(-1, modalities, channels).unbind(1)
    both = rows.new_empty(modalities, modalities, channels)
    for m, a in enumerate(each):
        both[m, m] = fired[m].sum(1)
        for n in range(m):
            both[m, n] = both[n, m] = (a * each[n]).mean(0)
    return fired, one_hot.mean(0), both


def relevance(fired: Tensor, classes: Tensor) -> Tensor:
    """I(S; Y) [nats], [M, C], from p(S = 1, Y) [M, C, K] and p(Y) [K]."""
    return _information(torch.stack([fired, classes - fired], -2))


def redundancy(both: Tensor) -> Tensor:
    """Mean of I(S_m; S_m') over the other modalities [nats], [M, C], from p(S_m = 1, S_m' = 1) [M, M, C]."""
    modalities = len(both)
    if modalities == 1:
        return torch.zeros_like(both[0])
    rate = both.diagonal(dim1=0, dim2=1).t()  # [M, C]
    mine, other = rate[:, None] - both, rate[None] - both
    joint = torch.stack(
        [torch.stack([both, mine], -1), torch.stack([other, 1 - both - mine - other], -1)], -2
    )
    information = _information(joint)
    others = 1.0 - torch.eye(modalities, dtype=both.dtype, device=both.device)
    return (information * others[..., None]).sum(1) / (modalities - 1)


def _information(joint: Tensor) -> Tensor:
    """I [nats] of tables p(a, b) [..., A, B]; cells of frequency 0 add nothing."""
    p = joint.clamp_min(0.0)  # differences of frequencies may round below 0
    apart = p.sum(-1, keepdim=True) * p.sum(-2, keepdim=True)
    return (torch.special.xlogy(p, p) - torch.special.xlogy(p, apart)).sum((-2, -1))
