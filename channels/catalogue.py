"""Imports every channel and loss model of this package, so that the registries are complete."""

from channels import (
    binary_channels,
    fading,
    gilbert_elliott,
    impairments,
    jitter,
    loss_trace,
    ofdm,
    packet_loss,
    spatial_multiplexing,
)
from channels.channel import CHANNELS
from channels.packet_loss import PACKET_LOSSES

__all__ = [
    "CHANNELS",
    "PACKET_LOSSES",
    "binary_channels",
    "fading",
    "gilbert_elliott",
    "impairments",
    "jitter",
    "loss_trace",
    "ofdm",
    "packet_loss",
    "spatial_multiplexing",
]
