"""What was used last, within a bound of bytes, where `functools.lru_cache` counts."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Latest(Generic[Key, Value]):
    """Values by key, made where they are not held; the caller sees to it that one thread asks.

    Args:
        make: the value of a key, and its bytes.
        most: bytes of all that are held beside the latest, which is held whatever it takes.
    """

    def __init__(self, make: Callable[[Key], tuple[Value, int]], most: Callable[[], int]) -> None:
        self._make, self._most = make, most
        self._held: dict[Key, tuple[Value, int]] = {}
        """In the order of use."""
        self.made = 0
        """How many were made so far."""

    def __call__(self, key: Key) -> Value:
        """The value of a key; raises what `make` does."""
        found = self._held.pop(key, None)
        if found is None:
            found = self._make(key)
            self.made += 1
        self._held[key] = found
        others = sum(size for _, size in self._held.values()) - found[1]
        for oldest in list(self._held)[:-1]:
            if others <= self._most():
                break
            others -= self._held.pop(oldest)[1]
        return found[0]

    def clear(self) -> None:
        """Hold nothing."""
        self._held.clear()
