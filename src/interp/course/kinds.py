"""What an exercise may ask for, and when two answers of that kind are the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Protocol, runtime_checkable

from interp.figures.engine.notation import count
from interp.methods.common.names import Head, head_name


@runtime_checkable
class Kind(Protocol):
    """What is asked for, in words; and how an answer is read and compared."""

    @property
    def asked(self) -> str: ...

    def read(self, given: Any) -> Any:
        """The answer as it is compared; None where it is nothing of this kind."""

    def same(self, given: Any, right: Any) -> bool:
        """Whether an answer, as it was read, is the right one."""

    def shown(self, right: Any) -> str: ...


@dataclass(frozen=True)
class Number:
    """A number, right to so many decimals: the exact one, rounded either way where it lies on the edge."""

    decimals: int

    @property
    def asked(self) -> str:
        return f"a number, to {count(self.decimals, 'decimal')}" if self.decimals else "a whole number"

    def read(self, given: Any) -> float | None:
        if isinstance(given, bool) or not isinstance(given, Real) or not math.isfinite(given):
            return None
        return float(given)

    def same(self, given: float, right: float) -> bool:
        half = 0.5 * 10.0**-self.decimals
        return abs(round(given, self.decimals) - right) <= half * (1 + 1e-6)

    def shown(self, right: float) -> str:
        return f"{right:.{self.decimals}f}"


@dataclass(frozen=True)
class Text:
    """A text, such as a token; spaces around it do not count."""

    asked: str = "a text, in quotes"

    def read(self, given: Any) -> str | None:
        return given.strip() if isinstance(given, str) else None

    def same(self, given: str, right: str) -> bool:
        return given == right.strip()

    def shown(self, right: str) -> str:
        return right.strip()


@dataclass(frozen=True)
class Heads:
    """One head or several, in any order, as ``"2.5"`` or ``(2, 5)``."""

    several: bool = False

    @property
    def asked(self) -> str:
        return 'a list of heads, as ["2.5", "3.1"]' if self.several else 'a head, as "2.5"'

    def read(self, given: Any) -> frozenset[str] | None:
        alone = isinstance(given, str) or (
            isinstance(given, tuple) and all(isinstance(i, int) for i in given)
        )
        if not alone and not isinstance(given, Sequence | set | frozenset):
            return None
        names = {_head(one) for one in ([given] if alone else given)}
        return None if "" in names else frozenset(names)

    def same(self, given: frozenset[str], right: Any) -> bool:
        return given == self.read(right)

    def shown(self, right: Any) -> str:
        return ", ".join(sorted(self.read(right) or ()))


@dataclass(frozen=True)
class YesOrNo:
    """True or False."""

    asked: str = "True or False"

    def read(self, given: Any) -> bool | None:
        return given if isinstance(given, bool) else None

    def same(self, given: bool, right: bool) -> bool:
        return given == right

    def shown(self, right: bool) -> str:
        return str(right)


def _head(given: Any) -> str:
    """A head's name; empty where it is none."""
    if isinstance(given, str):
        name = given.strip().removeprefix("a").replace(".h", ".")
        return name if name.replace(".", "", 1).isdigit() and "." in name else ""
    if isinstance(given, tuple) and len(given) == 2:
        head: Head = (int(given[0]), int(given[1]))
        return head_name(head)
    return ""
