"""Two prompts shown token over token, with the places where they differ."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest

from interp.app.views.grid_data import window
from interp.figures.engine import html
from interp.figures.engine.notation import brief, count, show_token


@dataclass(frozen=True)
class Alignment:
    """Two prompts, token over token: (clean, corrupted) columns, with None in the gaps where the prompts have
    different numbers of tokens."""

    columns: tuple[tuple[str | None, str | None], ...]

    @classmethod
    def between(cls, clean: tuple[str, ...], corrupted: tuple[str, ...]) -> Alignment:
        if len(clean) == len(corrupted):
            return cls(tuple(zip(clean, corrupted, strict=True)))
        same = SequenceMatcher(None, clean, corrupted, autojunk=False).get_opcodes()
        parts = [zip_longest(clean[a:b], corrupted[c:d]) for _, a, b, c, d in same]
        return cls(tuple(pair for part in parts for pair in part))

    @property
    def lengths(self) -> tuple[int, int]:
        """How many tokens each prompt has."""
        clean, corrupted = (sum(pair[side] is not None for pair in self.columns) for side in (0, 1))
        return clean, corrupted

    @property
    def differing(self) -> list[int]:
        """The columns in which the prompts differ."""
        return [i for i, (clean, corrupted) in enumerate(self.columns) if clean != corrupted]

    @property
    def problem(self) -> str:
        """Why nothing can be patched between the two; empty where it can."""
        clean, corrupted = self.lengths
        if clean != corrupted:
            return (
                f"The clean prompt has {count(clean, 'token')} and the corrupted one {corrupted}. Patching "
                "needs the same number: change the marked words for others of as many tokens."
            )
        return "" if self.differing else "Both prompts are the same: change what the answer depends on."

    @property
    def differences(self) -> str:
        """Where prompts that align differ, in a sentence."""
        named = [f"{i} ({' / '.join(brief(t or '') for t in self.columns[i])})" for i in self.differing[:5]]
        more = f" and {len(self.differing) - 5} more" if len(self.differing) > 5 else ""
        where = "position" if len(self.differing) == 1 else "positions"
        part = f" Drawn: {self.shown[0]} to {self.shown[-1]}." if len(self.shown) < self.lengths[0] else ""
        return f"{self.lengths[0]} tokens each; they differ at {where} {', '.join(named)}{more}.{part}"

    @property
    def shown(self) -> range:
        """The columns that are shown: of long prompts, those around the first difference."""
        return window(len(self.columns), self.differing[0] if self.differing else 0)

    @property
    def html(self) -> str:
        """Two lines of tokens, every text escaped; differing ones are marked, gaps are empty."""
        numbers = "".join(f"<td><small>{i}</small></td>" for i in self.shown)
        lines = [f"<tr><th></th>{numbers}</tr>"]
        for side, name in enumerate(("clean", "corrupted")):
            cells = [
                f'<td class="{"" if pair[0] == pair[1] else "differs"}">{_escaped(pair[side])}</td>'
                for pair in self.columns[self.shown.start : self.shown.stop]
            ]
            lines.append(f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>')
        return f'<table class="aligned">{"".join(lines)}</table>'


def _escaped(token: str | None) -> str:
    return "" if token is None else html.escaped(show_token(token))
