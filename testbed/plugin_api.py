"""All that a plug-in's file needs; docs/plugins.md tells how one is written.

Names that stand here keep their meaning. What is imported from elsewhere may change.
"""

from channels.channel import Channel, ErrorKind, check_choice, check_range, register_channel
from channels.errors import ChannelError
from channels.packet_loss import PacketLoss, register_packet_loss
from channels.randomness import ChannelRandomness
from codec.analog import AnalogCodec, ReceivedSymbols
from codec.base import (
    CodecError,
    DecodedImage,
    EncodedImage,
    Image,
    ImageCodec,
    Layer,
    ReceivedLayer,
    check_image,
    intact_layers,
)
from testbed.images import SourceImage
from testbed.language.protection import LayerSetting
from testbed.plugins.codec_registry import register_analog_codec, register_codec
from testbed.plugins.figure_registry import TableFigure, register_figure
from testbed.plugins.metric_registry import Metric, register_metric
from testbed.plugins.policy_registry import ProtectionPolicy, Sender, register_policy

__all__ = [
    "AnalogCodec",
    "Channel",
    "ChannelError",
    "ChannelRandomness",
    "CodecError",
    "DecodedImage",
    "EncodedImage",
    "ErrorKind",
    "Image",
    "ImageCodec",
    "Layer",
    "LayerSetting",
    "Metric",
    "PacketLoss",
    "ProtectionPolicy",
    "ReceivedLayer",
    "ReceivedSymbols",
    "Sender",
    "SourceImage",
    "TableFigure",
    "check_choice",
    "check_image",
    "check_range",
    "intact_layers",
    "register_analog_codec",
    "register_channel",
    "register_codec",
    "register_figure",
    "register_metric",
    "register_packet_loss",
    "register_policy",
]
