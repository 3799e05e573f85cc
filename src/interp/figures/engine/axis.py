"""The axes of a grid: layers, heads, tokens, or anything with a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass

from interp.figures.engine.blocks import check_shown
from interp.figures.engine.notation import show_text, show_token


@dataclass(frozen=True)
class Heading:
    """A token; where another stands there in the corrupted prompt, that too, or a word about it (`note`);
    strong where it matters. Or, with `name`, some other label, whose spaces are left alone."""

    token: str
    other: str | None = None
    _: KW_ONLY
    note: str = ""
    strong: bool = False
    name: bool = False

    def shown(self, max_chars: int | None = None) -> str:
        """The token or label on one line; longer ones lose their middle."""
        show = show_text if self.name else show_token
        return show(self.token, max_chars=max_chars)

    def below(self, max_chars: int | None = None) -> str:
        """What stands below the token: the corrupted prompt's, or the note; mostly nothing."""
        return self.note if self.other is None else show_token(self.other, max_chars=max_chars)


@dataclass(frozen=True)
class Axis:
    """What the rows or columns of a grid are: layers, heads, tokens, or anything with a name."""

    title: str
    headings: tuple[Heading, ...]
    positions: tuple[int, ...] = ()  # of tokens, where they stand in the prompt; none given: from 0

    @classmethod
    def numbers(cls, title: str, n: int) -> Axis:
        """0, 1, ... : layers, heads, neurons."""
        return cls.names(title, range(n))

    @classmethod
    def names(cls, title: str, labels: Sequence[object]) -> Axis:
        """Any names."""
        return cls(title, tuple(Heading(str(label), name=True) for label in labels))

    @classmethod
    def tokens(
        cls,
        tokens: Sequence[str],
        *,
        others: Sequence[str] = (),
        notes: Mapping[int, str] | None = None,
        title: str = "position",
        positions: Sequence[int] = (),
    ) -> Axis:
        """The tokens of a prompt, as they come from the tokenizer; where those of the corrupted prompt
        (`others`, as many) are different, they stand below and both are strong. So are tokens with a note,
        such as ``{3: "noised"}``, which stands below. Of a part of a prompt, `positions` are where they
        stand."""
        check_shown(not others or len(others) == len(tokens), f"{len(others)} tokens under {len(tokens)}")
        check_shown(not positions or len(positions) == len(tokens), f"{len(positions)} for {len(tokens)}")
        headings = []
        for i, (token, other) in enumerate(zip(tokens, others or tokens, strict=True)):
            note, differs = (notes or {}).get(i, ""), token != other
            headings.append(
                Heading(token, other if differs else None, note=note, strong=differs or bool(note))
            )
        return cls(title, tuple(headings), tuple(positions))

    def __len__(self) -> int:
        return len(self.headings)

    @property
    def of_tokens(self) -> bool:
        """Whether the headings are tokens, and not other names."""
        return any(not heading.name for heading in self.headings)

    @property
    def of_numbers(self) -> bool:
        """Whether the labels are so short that some of them tell the others."""
        return not self.of_tokens and all(heading.token.isdigit() for heading in self.headings)

    def short(self, max_chars: int | None = None) -> list[str]:
        """The labels, each on one line."""
        return [heading.shown(max_chars) for heading in self.headings]

    def full(self, i: int) -> str:
        """A label in full, as in ``head 3`` or ``position 4: ␣France, corrupted: ␣Japan``."""
        heading = self.headings[i]
        if heading.name:
            return f"{self.title} {heading.shown()}".strip()
        other = f", {heading.note}" if heading.note else ""
        if heading.other is not None:
            other = f", corrupted: {show_token(heading.other)}"
        return f"{self.title} {self.positions[i] if self.positions else i}: {heading.shown()}{other}"
