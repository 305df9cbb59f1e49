"""The one exception of this package.

ValueError
 └─ ChannelError    a link, code, modulation or key that cannot exist, or data of the wrong size

Its message says what was expected and what was found.
"""


class ChannelError(ValueError):
    """A channel, code or packet was asked for that does not exist or does not fit its data."""
