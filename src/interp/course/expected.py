"""Expected against observed: a reader's predictions beside what a model does, and what is published."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from numbers import Real
from typing import Any

import numpy as np

from interp.figures.engine import html
from interp.figures.engine.notation import measured, show_text
from interp.figures.engine.notebook import embedded
from interp.models.base import Model

_NOTHING = "–"


@dataclass(frozen=True)
class _Row:
    what: str
    expected: str
    observed: str
    off: str
    published: str


class Expected:
    """The table at the head of a lesson: what a reader expected, what was observed in `model`, and what is
    published of GPT-2 small, where something is.

    It grows by a row for each question, and shows itself: in a notebook as a table, printed as lines.
    """

    def __init__(self, model: Model, *, asks: bool = True) -> None:
        """Without `asks`, a table of what was observed and published alone, where nothing is predicted."""
        self._model = model.identity.name
        self._shown = (0, 1, 2, 3, 4) if asks else (0, 2, 4)  # columns
        self._rows: dict[str, _Row] = {}  # by what was asked

    def row(self, what: str, prediction: Any, observed: Any, *, published: str = "") -> Expected:
        """Add what was asked, what was predicted (None: nothing was), and what was seen: numbers or texts.

        `published` is the figure of GPT-2 small as its source has it. A question that is asked again takes
        the place of its row. Returns the table, so that a cell shows it.
        """
        prediction, observed = _plain(prediction), _plain(observed)
        row = _Row(
            show_text(what),
            _NOTHING if prediction is None else _shown(prediction),
            _shown(observed),
            _difference(prediction, observed),
            show_text(published) or _NOTHING,
        )
        self._rows[row.what] = row
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The headings of the table."""
        every = "question", "you expected", f"observed in {self._model}", "off by", "published of GPT-2 small"
        return tuple(every[i] for i in self._shown)

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The table, as texts."""
        return [tuple(astuple(row)[i] for i in self._shown) for row in self._rows.values()]

    def __repr__(self) -> str:
        return "\n".join(
            f"{row.what}: expected {row.expected}, observed {row.observed} (published {row.published})"
            for row in self._rows.values()
        )

    def _repr_html_(self) -> str:
        return embedded(html.table(self.columns, self.rows, caption="Expected against observed"))


def _plain(value: Any) -> Any:
    """A number or truth of numpy's as Python has it."""
    return value.item() if isinstance(value, np.generic | np.ndarray) else value


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Real):
        return measured(float(value))
    return show_text(str(value))


def _difference(prediction: Any, observed: Any) -> str:
    """How far a prediction is from what was seen; of texts, whether it is the same."""
    if prediction is None:
        return _NOTHING
    numbers = isinstance(prediction, Real) and isinstance(observed, Real)
    if not numbers or isinstance(prediction, bool) or isinstance(observed, bool):
        return "as expected" if _shown(prediction).strip() == _shown(observed).strip() else "another"
    return measured(abs(float(prediction) - float(observed)))
