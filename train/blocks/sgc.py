"""1D-SGC, Signal-SGN's spiking graph convolution on single frames, with self-attention over joints.

    H  = SN(BN(sum_k W_k S A_k) + BN(R S))              columns of A_k of length 1, A_k learned
    Q, K, W = SN(BN(conv(H))), split into heads          [T, N, heads, V, C/heads]
    M  = SN_0.5(Q K^T),  O = SN_0.5(0.5 M W)             spikes by spikes, twice
    out = SN(BN(conv(O)) + H)

[fig] has SN around both branches of H and adds behind the last SN, which leaves {0, 1, 2} there: with
`merge="spikes"` H adds spikes of its branches; "currents" (the default) adds what flows into one neuron and
saves two layers of them. The last sum is taken before the neuron in both, so that only spikes leave. R is
ConvBN, as in the paper. The code scales M W by 0.125 where M is a count of up to C/heads; M is binary here,
and with 0.125 O fires at under 0.01 a step: hence 0.5.
"""

from torch import Tensor, nn

from train.blocks.attention import SelfAttention
from train.blocks.neuron import Neurons
from train.layers import ChannelMix, ChannelNorm, GraphConv

MERGES = ("currents", "spikes")
SCALE = 0.5  # of M W


class SpatialGraphConv(nn.Module):
    """[T, N, C, V] spikes -> [T, N, C', V] spikes."""

    def __init__(
        self, c_in: int, c_out: int, graph: Tensor, neurons: Neurons, heads: int, merge: str = "currents"
    ) -> None:
        super().__init__()
        self.graph = GraphConv(c_in, c_out, graph, normalised=True)
        apart = merge == "spikes"
        same = c_in == c_out and not apart
        self.graph_norm = ChannelNorm(c_out, neurons.branch_gain if same else 1.0)
        self.shortcut = nn.Identity() if same else ChannelMix(c_in, c_out)
        self.shortcut_norm = nn.Identity() if same else ChannelNorm(c_out)
        self.graph_spike = neurons.layer() if apart else nn.Identity()
        self.shortcut_spike = neurons.layer() if apart else nn.Identity()
        self.spike = neurons.layer()
        self.attention = (
            SelfAttention(c_out, heads, neurons, SCALE, neurons.branch_gain) if heads else nn.Identity()
        )

    def forward(self, s: Tensor) -> Tensor:
        """Spikes in, spikes out."""
        graph = self.graph_spike(self.graph_norm(self.graph(s)))
        shortcut = self.shortcut_spike(self.shortcut_norm(self.shortcut(s)))
        return self.attention(self.spike(graph + shortcut))
