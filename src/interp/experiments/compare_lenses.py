"""The comparison of lenses as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict
from typing_extensions import TypedDict

from interp.experiments.base import experiment
from interp.experiments.on_text import TextConfig

if TYPE_CHECKING:
    from interp.methods.lens.comparison_results import CompareLensesResult
    from interp.models.base import Model
    from interp.tasks.two_hops import TwoHop


class TwoHopCase(TypedDict):
    """A prompt that needs two steps, its bridge and answer, and prompts (`hops`) that end where these are to
    follow."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    relation: str
    prompt: str
    bridge: str
    answer: str
    hops: list[str]


class CompareLensesConfig(TextConfig):
    """See `interp.compare_lenses`, `interp.load_lens` for what names a lens, and `TextConfig` for the text,
    of which what is held out is read. `cases` are the package's own prompts of two steps
    (`interp.tasks.two_hops`), none, or a list of one's own."""

    training: int = 1
    held_out: int = 8
    length: int = 64
    lenses: list[str] | dict[str, str] = ["logit", "patchscope"]  # noqa: RUF012  # pydantic copies it
    shuffled: list[str] = []  # noqa: RUF012  # pydantic copies it
    other_models: list[str] = []  # noqa: RUF012  # pydantic copies it
    controls: list[str] = []  # noqa: RUF012  # pydantic copies it
    cases: Literal["table", "none"] | list[TwoHopCase] = "table"
    k: int = 10
    widths: list[int] = []  # noqa: RUF012  # pydantic copies it
    band_every: int = 1
    n_random: int = 4
    skip_first: int = 0

    @property
    def two_hops(self) -> tuple[TwoHop, ...]:
        """The prompts of two steps."""
        from interp.tasks.two_hops import TwoHop, two_hops

        if self.cases == "table":
            return two_hops()
        given = [] if self.cases == "none" else self.cases
        return tuple(
            TwoHop(
                relation=one["relation"],
                prompt=one["prompt"],
                bridge=one["bridge"],
                answer=one["answer"],
                hops=tuple(one["hops"]),
            )
            for one in given
            if not isinstance(one, str)
        )


@experiment("compare_lenses", config=CompareLensesConfig)
def run(config: CompareLensesConfig, model: Model) -> CompareLensesResult:
    """Which lens is to be believed? On text, at a step in between that is known, and by its effects."""
    from interp.methods.lens.compare_lenses import compare_lenses

    _, held_out = config.load_text(model)
    return compare_lenses(
        model,
        held_out,
        lenses=config.lenses,
        cases=config.two_hops,
        shuffled=config.shuffled,
        other_models=config.other_models,
        controls=config.controls,
        k=config.k,
        widths=config.widths,
        band_every=config.band_every,
        n_random=config.n_random,
        skip_first=config.skip_first,
        described=config.held_out_text
        + (f", without the first {config.skip_first} of each" if config.skip_first else ""),
        seed=config.seed,
    )
