"""Layers over [N, C, ...], channels second, as torch's own convolutions have them."""

from torch import Tensor

from train.layers import ChannelNorm


class ImageNorm(ChannelNorm):
    """Batch norm over every axis but the channels, its batch that of all processes:
    `train.layers.ChannelNorm`."""

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, ...] -> [N, C, ...]."""
        rows = x if x.dim() > 2 else x.unsqueeze(2)
        return super().forward(rows.unsqueeze(0))[0].reshape(x.shape)
