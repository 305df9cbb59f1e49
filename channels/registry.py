"""Lists of classes by the names that a scenario gives them."""

from collections.abc import Callable
from typing import Any, TypeVar

from channels.errors import ChannelError

AnyClass = TypeVar("AnyClass", bound=type)


def add_to(known: dict[str, Any], kind: str, name: str) -> Callable[[AnyClass], AnyClass]:
    """A decorator that enters a class into `known` as `name`; `kind` is for messages.

    Raises:
        ChannelError: on decorating, the name is taken by another class.
    """

    def register(added: AnyClass) -> AnyClass:
        if known.setdefault(name, added) is not added:
            raise ChannelError(f"{kind} {name!r}: expected a new name, found {known[name]}")
        return added

    return register
