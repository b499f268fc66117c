"""Base-SGN with spiking self-attention over joints (train.blocks.attention) behind each block."""

from dataclasses import dataclass

from torch import nn

from train.blocks.attention import SelfAttention
from train.models.base_sgn import BaseSGN, BaseSGNConfig, count


@dataclass(frozen=True, slots=True)
class AttentionSGNConfig(BaseSGNConfig):
    """A Base-SGN's, and the number of heads."""

    heads: int = 8

    def __post_init__(self) -> None:
        BaseSGNConfig.__post_init__(self)
        if not count(self.heads) or any(c % self.heads for c in self.channels):
            raise ValueError(
                f"base-sgn-attention: heads = {self.heads!r} "
                f"(expected a divisor of every width in {self.channels})"
            )


class AttentionSGN(BaseSGN):
    """x [T, N, C, V] -> class scores [N, classes]; an attention behind every block."""

    def __init__(self, config: AttentionSGNConfig) -> None:
        super().__init__(config)
        pairs = zip(self.blocks, config.channels, strict=True)
        self.blocks = nn.Sequential(
            *(m for block, c in pairs for m in (block, SelfAttention(c, config.heads, config.neurons)))
        )

    @property
    def stages(self) -> tuple[str, ...]:
        """Each block with its attention."""
        return tuple(f"blocks.{k}" for k in range(1, len(self.blocks), 2))
