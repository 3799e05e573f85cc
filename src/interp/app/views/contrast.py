"""The page Contrast without its widgets: two prompts, read side by side at each layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from interp.app.views import lens
from interp.app.views.grid_data import grid_data
from interp.app.views.kept import kept_of, lens_of
from interp.app.views.lens import LogitLens
from interp.app.views.questions import LibraryQuestion
from interp.app.views.tokens import read_token
from interp.figures.engine.html import shade_class
from interp.figures.engine.notation import brief, decimal, probability, show_token
from interp.figures.engine.view import Axis, Grid, Table

if TYPE_CHECKING:
    from interp.methods.lens.results import ContrastResult, LogitLensResult
    from interp.models.base import Model

#: Pairs that the demo models know, as they stand in the inputs; the page begins with the first.
EXAMPLES: tuple[tuple[str, dict[str, str]], ...] = (
    (
        "Two capitals",
        {
            "first": "The capital of France is",
            "second": "The capital of Japan is",
            "target": "␣Paris",
            "competitor": "␣Tokyo",
        },
    ),
    (
        "Two landmarks",
        {
            "first": "The Eiffel Tower is in the city of",
            "second": "The Colosseum is in the city of",
            "target": "␣Paris",
            "competitor": "␣Rome",
        },
    ),
    (
        "Who is given it",
        {
            "first": "When Mary and John went to the store, John gave a drink to",
            "second": "When Mary and John went to the store, Mary gave a drink to",
            "target": "␣Mary",
            "competitor": "␣John",
        },
    ),
)
PROMPTS = ("first", "second")
LIKELY, FAINT = (
    100,
    0.4,
)  # up to which rank a token that is ahead is not out of the question; how it is shown else


@dataclass(frozen=True)
class Contrast(LibraryQuestion):
    """Two prompts read with the lens: who is ahead at each layer, target or competitor."""

    method: ClassVar[str] = "contrast"
    first: str
    second: str
    target: str
    competitor: str
    margin: float = 1.0
    position: int = -1
    lens: str = "logit"

    def __call__(self, model: Model) -> ContrastResult:
        import interp

        given = self.arguments | {"lens": lens_of(model, self.lens)}
        return interp.contrast(model, **given, kept=kept_of(model))

    @classmethod
    def typed(cls, *, target: str, competitor: str, **given: Any) -> Contrast:
        """The question with its tokens as a person writes them."""
        return cls(target=read_token(target), competitor=read_token(competitor), **given)

    def reading(self, prompt: int) -> LogitLens:
        """What the lens reads of the first (0) or second (1) prompt, with the token that it should say."""
        asked = ((self.first, self.target), (self.second, self.competitor))[prompt]
        return LogitLens(*asked, position=self.position, lens=self.lens)


def side_by_side(result: ContrastResult) -> Grid:
    """What the lens would say and by how much the target is ahead, [layer, two columns a prompt], coloured by
    the three marks but at the embedding; the hand-offs are framed."""
    says, ahead = [], []
    hover: dict[str, list[list[str]]] = {"probability of the target": [], "probability of the competitor": []}
    for prompt in range(len(PROMPTS)):
        tops = zip(result.top_tokens[prompt], result.top_probs[prompt], strict=True)
        says.append([_token_and_probability(token, float(p)) for token, p in tops])
        ahead.append([f"{'+' if x > 0 else ''}{decimal(x)}" for x in result.ahead[prompt].tolist()])
        for name, values in zip(hover, (result.target_prob, result.competitor_prob), strict=True):
            hover[name].append([probability(p) for p in values[prompt].tolist()])
    for name, ranks in (
        ("rank of the target", result.target_rank),
        ("rank of the competitor", result.competitor_rank),
    ):
        if ranks is not None:
            hover[name] = [[f"{rank:,}" for rank in of_prompt] for of_prompt in ranks.tolist()]
    marks = np.repeat(result.marks, 2, axis=0).T.astype(float)
    if result.target_rank is not None and result.competitor_rank is not None:
        ranks = np.where(result.marks > 0, result.target_rank, result.competitor_rank)
        marks *= np.where(np.repeat(ranks, 2, axis=0).T > LIKELY, FAINT, 1.0)
    if result.layers[0] == "embed":
        marks[0] = 0.0  # nothing was computed there: the lens reads the last token itself
    target, competitor = brief(result.target), brief(result.competitor)
    by = f"by {result.margin:g} logits or more" if result.margin != 1 else "by a logit or more"
    return Grid(
        values=marks,
        rows=Axis.names("after layer", result.layers),
        columns=Axis.names(
            "", [heading for name in ("1st", "2nd") for heading in (f"{name} says", "ahead by")]
        ),
        unit="Who is ahead",
        title=f"Layer by layer: {target} or {competitor}?",
        limit=2.0,  # three colours, none of them glaring
        above=f"{target}, {by}",
        below=f"{competitor}; faint: ahead, but of rank above {LIKELY}; no colour: neither",
        hover=tuple((name, np.repeat(np.array(texts), 2, axis=0).T) for name, texts in hover.items()),
        framed=tuple(
            (layer, 2 * prompt + i)
            for prompt, layer in enumerate(result.hand_offs)
            for i in range(2)
            if layer is not None
        ),
        framed_means="the hand-off, from where on the token that leads at the end is ahead",
        texts=np.stack([texts for pair in zip(says, ahead, strict=True) for texts in pair], axis=1),
    )


def _token_and_probability(token: str, p: float) -> str:
    """Both in this order, in whichever direction the token is written (it stands between the two marks of
    Unicode that keep it from what follows)."""
    return f"\u2068{show_token(token, max_chars=12)}\u2069 {probability(p)}"


def side_by_side_data(result: ContrastResult, *, selected: tuple[int, int]) -> dict[str, Any]:
    """What the grid component shows of `side_by_side`, with the three marks as its legend."""
    grid = side_by_side(result)
    names = ((-1.0, brief(result.competitor)), (0.0, "neither"), (1.0, brief(result.target)))
    legend = [[shade_class(grid, mark), name] for mark, name in names]
    return grid_data(grid, selected=selected) | {"legend": legend}


def cell_table(result: LogitLensResult, prompt: int, row: int) -> Table:
    """The top tokens that the lens reads of one prompt at a layer, and where the expected one stands."""
    table = lens.cell_table(result, row, 0)
    return replace(table, title=f"The {PROMPTS[prompt]} prompt. {table.title}")
