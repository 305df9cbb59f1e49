"""Learned analog transmission: a network maps a picture straight to complex symbols, and back.

    picture -> SymbolEncoder -> symbols of unit mean power -> channel -> SymbolDecoder -> picture

E. Bourtsoulatze, D. Burth Kurka, D. Gunduz, "Deep joint source-channel coding for wireless image
transmission", IEEE Trans. Cogn. Commun. Netw. 5(3), 2019, with residual blocks, and the attention
over channels of J. Xu, B. Ai, W. Chen, A. Yang, P. Sun, M. Rodrigues, "Wireless image transmission
using deep source channel coding with attention modules", IEEE Trans. Circuits Syst. Video Technol.
32(4), 2022, by which one network serves all SNRs.

Symbols lie on a grid of a quarter of the picture's height and width, `SYMBOL_CHANNELS` real numbers
at each place, two of which are one complex channel use.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

GRID = 4
"""Pixels per place of the symbol grid, each way."""
SYMBOL_CHANNELS = {"1/12": 8, "1/6": 16, "1/3": 32}
"""Real numbers per place: 2 cbr 3 GRID^2, by channel bandwidth ratio."""
SNR_UNIT_DB = 10.0


class SnrAttention(nn.Module):
    """Scales channels by what their means and the SNR say (Xu et al., figure 4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels + 1, channels // 4)
        self.out = nn.Linear(channels // 4, channels)

    def forward(self, x: Tensor, snr_db: Tensor) -> Tensor:
        """x: (N, C, H, W). snr_db: (N,)."""
        seen = torch.cat([x.mean((2, 3)), snr_db[:, None] / SNR_UNIT_DB], 1)
        scale = torch.sigmoid(self.out(functional.relu(self.hidden(seen))))
        return x * scale[:, :, None, None]


def _rectified(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, 0.1)


class Block(nn.Module):
    """A residual block and its attention."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.attention = SnrAttention(channels)

    def forward(self, x: Tensor, snr_db: Tensor) -> Tensor:
        inner = self.second(_rectified(self.first(_rectified(x))))
        scaled: Tensor = self.attention(inner, snr_db)
        return x + scaled


class SymbolEncoder(nn.Module):
    """Pictures to symbols: float (N, 3, H, W) in 0 .. 1, H and W multiples of 4, to
    (N, 2 k / (H/4 W/4), H/4, W/4), of mean power 1 per pair of numbers in each picture.
    """

    def __init__(self, symbol_channels: int, fine: int = 48, coarse: int = 96) -> None:
        super().__init__()
        self.stem = nn.Conv2d(12, fine, 3, padding=1)
        self.fine = nn.ModuleList(Block(fine) for _ in range(2))
        self.down = nn.Conv2d(fine, coarse, 3, stride=2, padding=1)
        self.coarse = nn.ModuleList(Block(coarse) for _ in range(3))
        self.head = nn.Conv2d(coarse, symbol_channels, 3, padding=1)

    def forward(self, pictures: Tensor, snr_db: Tensor) -> Tensor:
        """snr_db: (N,), the mean SNR, which the sender is told."""
        x = self.stem(functional.pixel_unshuffle(pictures - 0.5, 2))
        for block in self.fine:
            x = block(x, snr_db)
        x = self.down(x)
        for block in self.coarse:
            x = block(x, snr_db)
        symbols = self.head(x).float()
        # Two numbers are one channel use: their mean square is a half.
        power = 2.0 * symbols.square().mean((1, 2, 3), keepdim=True)
        return torch.as_tensor(symbols * torch.rsqrt(power + 1e-12))


class SymbolDecoder(nn.Module):
    """Equalised symbols to pictures; the inverse of SymbolEncoder in shapes."""

    def __init__(self, symbol_channels: int, fine: int = 48, coarse: int = 96) -> None:
        super().__init__()
        self.stem = nn.Conv2d(symbol_channels, coarse, 3, padding=1)
        self.coarse = nn.ModuleList(Block(coarse) for _ in range(3))
        self.up = nn.Conv2d(coarse, 4 * fine, 3, padding=1)
        self.fine = nn.ModuleList(Block(fine) for _ in range(2))
        self.head = nn.Conv2d(fine, 12, 3, padding=1)

    def forward(self, symbols: Tensor, snr: Tensor) -> Tensor:
        """Pictures, about 0 .. 1.

        symbols: equalised. snr: of each real number, as the receiver knows it: 1 over the noise
        power left in it. Symbols are scaled to their mean square estimate, so that one that a deep
        fade has drowned counts for nothing.
        """
        x = self.stem(symbols * snr / (1.0 + snr))
        effective_db = 10.0 * torch.log10(torch.expm1(torch.log1p(snr).mean((1, 2, 3))))
        effective_db = effective_db.clamp(-20.0, 40.0)
        for block in self.coarse:
            x = block(x, effective_db)
        x = functional.pixel_shuffle(self.up(x), 2)
        for block in self.fine:
            x = block(x, effective_db)
        return functional.pixel_shuffle(self.head(x), 2).float() + 0.5


class DeepJscc(nn.Module):
    """Both halves."""

    def __init__(self, symbol_channels: int) -> None:
        super().__init__()
        self.encoder = SymbolEncoder(symbol_channels)
        self.decoder = SymbolDecoder(symbol_channels)
