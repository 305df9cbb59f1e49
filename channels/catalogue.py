"""Imports every channel and loss model of this package, so that the registries are complete."""

from channels import fading, packet_loss
from channels.channel import CHANNELS
from channels.packet_loss import PACKET_LOSSES

__all__ = ["CHANNELS", "PACKET_LOSSES", "fading", "packet_loss"]
