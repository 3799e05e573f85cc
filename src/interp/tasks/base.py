"""What every task makes: pairs of a clean and a corrupted prompt, ready for one model.

Prompts are token ids (BOS included, where the model's policy has one), so that a position means the same
everywhere. A pair is checked when it is made: what exists, aligns. How well a model does on a dataset is
another question, answered by `interp.tasks.inspection`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, overload

from interp.answers import Answer, AnswerLike, check_apart
from interp.errors import InputError, nearest
from interp.models.base import Model
from interp.results import Dropped, Pairs
from interp.showing import Listing, listed
from interp.tokens import Prompt, differing_positions

T = TypeVar("T")
_FEWEST_ANSWERS = 5  # different ones, for which pairs of one answer are drawn together


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A clean and a corrupted prompt of one length, the clean prompt's answer, and a foil: the id of a token
    each, or an `Answer` of several tokens or forms.

    `positions` says where each role stands (S1, subject, END, ...), counted from the first id; a role stands
    at the same positions in both prompts. `template` is what the prompts of a group have in common. `text` is
    the clean prompt to read, made of the texts of its tokens.

    Raises `InputError` where the prompts are not of one length or are the same, where answer and foil are the
    same, and where a position lies outside the prompt.
    """

    clean: tuple[int, ...]
    corrupted: tuple[int, ...]
    answer: int | Answer
    foil: int | Answer
    positions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    template: str = ""
    text: str = ""

    def __post_init__(self) -> None:
        differing_positions(self.clean, self.corrupted)
        check_apart(Answer.of(self.answer), Answer.of(self.foil))
        for role, positions in self.positions.items():
            if not positions or not all(0 <= position < len(self) for position in positions):
                raise InputError(
                    f"The role {role!r} stands at {list(positions)}, but the prompt's positions go from 0 to "
                    f"{len(self) - 1}."
                )

    def __len__(self) -> int:
        """The number of tokens of either prompt."""
        return len(self.clean)


@dataclass(frozen=True, kw_only=True)
class PairDataset:
    """Pairs of one task: ``activation_patching(model, clean=ds.clean, corrupted=ds.corrupted,
    answer=ds.answers, foil=ds.foils)``.

    `made` says how: the options, the seed, and the model and BOS that the ids are for; all of it fit for
    JSON. `dropped` says what was left out and why. Raises `InputError` where there is no pair.
    """

    name: str
    pairs: tuple[Pair, ...]
    dropped: tuple[Dropped, ...] = ()
    made: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.pairs:
            reasons = "; ".join(dict.fromkeys(f"{one.what}: {one.why}" for one in self.dropped[:3]))
            raise InputError(f"No pair of {self.name!r} is left{f' ({reasons})' if reasons else ''}.")

    @property
    def clean(self) -> list[tuple[int, ...]]:
        return [pair.clean for pair in self.pairs]

    @property
    def corrupted(self) -> list[tuple[int, ...]]:
        return [pair.corrupted for pair in self.pairs]

    @property
    def answers(self) -> list[int | Answer]:
        return [pair.answer for pair in self.pairs]

    @property
    def foils(self) -> list[int | Answer]:
        return [pair.foil for pair in self.pairs]

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that every pair has."""
        return tuple(role for role in self.pairs[0].positions if all(role in p.positions for p in self.pairs))

    def positions(self, role: str) -> list[tuple[int, ...]]:
        """Where `role` stands in each pair. `InputError` for a role that not all of them have."""
        if role not in self.roles:
            raise InputError(
                f"Not every pair of {self.name!r} has a role {role!r}; {_nearest(role, self.roles)}"
            )
        return [pair.positions[role] for pair in self.pairs]

    def position(self, role: str) -> list[int]:
        """Where `role` stands in each pair, for one that is a single token in all of them."""
        found = self.positions(role)
        if any(len(positions) != 1 for positions in found):
            raise InputError(f"The role {role!r} is several tokens in some pairs; use positions({role!r}).")
        return [position for (position,) in found]

    @property
    def clustered_by(self) -> str:
        """What pairs share that are drawn together for an interval: their ``template``, its slots left open;
        of one template the ``answer``, where several pairs share each; empty where each pair stands for
        itself."""
        return self._clusters[0]

    @property
    def clusters(self) -> tuple[str | int, ...] | None:
        """A label for each pair, the same for those that are drawn together; None where there are none."""
        return self._clusters[1]

    @property
    def _clusters(self) -> tuple[str, tuple[str | int, ...] | None]:
        templates = tuple(re.sub(r"[\[{][^\]}]*[\]}]", "[]", pair.template) for pair in self.pairs)
        if 1 < len(set(templates)) < len(self):
            return "template", templates
        answers = tuple(str(Answer.of(one).key) for one in self.answers)
        if len(set(templates)) == 1 and _FEWEST_ANSWERS <= len(set(answers)) < len(self):
            return "answer", answers
        return "", None

    def where(self, *, template: str | None = None, length: int | None = None) -> PairDataset:
        """The pairs of one template, of one length in tokens, or both. `InputError` where there are none."""
        if template is not None and template not in self.by_template():
            raise InputError(
                f"No pair has the template {template!r}; {_nearest(template, self.by_template())}"
            )
        if length is not None and length not in self.by_length():
            lengths = ", ".join(map(str, sorted(self.by_length())))
            raise InputError(f"No pair has {length} tokens; there are pairs of {lengths}.")
        return self._with(
            pair for pair in self.pairs if template in (None, pair.template) and length in (None, len(pair))
        )

    def by_template(self) -> dict[str, PairDataset]:
        """The pairs of each template, in order of appearance."""
        templates = dict.fromkeys(pair.template for pair in self.pairs)
        return {one: self._with(p for p in self.pairs if p.template == one) for one in templates}

    def by_length(self) -> dict[int, PairDataset]:
        """The pairs of each length in tokens, in order of appearance."""
        lengths = dict.fromkeys(len(pair) for pair in self.pairs)
        return {one: self._with(p for p in self.pairs if len(p) == one) for one in lengths}

    def without_lone(self) -> PairDataset:
        """The dataset less the pairs that are alone of their template and length: the mean over such prompts
        would be the prompt itself. They join `dropped`."""
        alike = Counter((pair.template, len(pair)) for pair in self.pairs)
        alone = (i for i, pair in enumerate(self.pairs) if alike[pair.template, len(pair)] == 1)
        return self.without(dict.fromkeys(alone, "no other prompt of its template and length"))

    def without(self, reasons: Mapping[int, str]) -> PairDataset:
        """The dataset less the pairs of these indices, each with the reason why; they join `dropped`."""
        dropped = tuple(Dropped(self.pairs[i].text or f"pair {i}", why) for i, why in sorted(reasons.items()))
        kept = tuple(pair for i, pair in enumerate(self.pairs) if i not in reasons)
        return replace(self, pairs=kept, dropped=self.dropped + dropped)

    def _with(self, pairs: Iterable[Pair]) -> PairDataset:
        return replace(self, pairs=tuple(pairs))

    def __repr__(self) -> str:
        lengths = sorted({len(pair) for pair in self.pairs})
        tokens = f"{lengths[0]}-{lengths[-1]}" if len(lengths) > 1 else f"{lengths[0]}"
        left_out = f", {len(self.dropped)} dropped" if self.dropped else ""
        return f"<PairDataset {self.name}: {len(self)} pairs of {tokens} tokens{left_out}>"

    def _repr_html_(self) -> str:
        rows = [
            (
                pair.text or str(list(pair.clean)),
                *(str(Answer.of(one).key) for one in (pair.answer, pair.foil)),
            )
            for pair in self.pairs
        ]
        made = [(name, str(value)) for name, value in self.made.items()]
        pairs = Listing("Pairs", ("clean prompt", "answer (id)", "foil (id)"), rows)
        return listed(repr(self).strip("<>"), [pairs, Listing("How it was made", ("", ""), made)])

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> PairDataset: ...
    def __getitem__(self, index: int | slice) -> Pair | PairDataset:
        return self._with(self.pairs[index]) if isinstance(index, slice) else self.pairs[index]


# ---- what the tasks share ----


def encode_pair(
    model: Model,
    *,
    clean: Prompt,
    corrupted: Prompt,
    answer: AnswerLike,
    foil: AnswerLike,
    positions: Mapping[str, Sequence[int]] | None = None,
    template: str = "",
) -> Pair:
    """A pair in the ids of `model`. `InputError` for all that `Pair` refuses, and for what is no answer."""
    ids, corrupted_ids = (tuple(model.to_tokens(prompt).repeat(1).row(0)) for prompt in (clean, corrupted))
    # Here rather than in Pair alone, so that the message can show the tokens.
    differing_positions(
        ids, corrupted_ids, names=["|".join(model.labels(one)) for one in (ids, corrupted_ids)]
    )
    return Pair(
        clean=ids,
        corrupted=corrupted_ids,
        answer=model.to_answer(answer).plain,
        foil=model.to_answer(foil).plain,
        positions={role: tuple(where) for role, where in (positions or {}).items()},
        template=template,
        text=model.to_text(ids),
    )


def single_tokens(model: Model, words: Iterable[str]) -> dict[str, int]:
    """The id of each word that is one token of `model` with a leading space; other words are left out."""
    found = {}
    for word in dict.fromkeys(words):
        try:
            found[word] = model.to_single_token(f" {word}")
        except InputError:
            if model.tokenizer is None:
                raise
    return found


def made_for(model: Model, **options: Any) -> dict[str, Any]:
    """How a dataset was made: its options, and the model and the BOS that its ids are for."""
    return {**options, "model": model.identity.name, "bos": model.identity.bos}


def in_turn(queues: Iterable[list[T]], n: int) -> Iterator[T]:
    """`n` items, one from the end of each queue in turn, as long as it has some; they are taken out."""
    left = [queue for queue in queues if queue]
    while n > 0 and left:
        for queue in left[:n]:
            yield queue.pop()
        n -= len(left)
        left = [queue for queue in left if queue]


def check_count(n: Any, *, of: str = "n", least: int = 1) -> None:
    """`InputError` where a number of things is none."""
    if isinstance(n, bool) or not isinstance(n, int) or n < least:
        raise InputError(f"{of} must be a whole number, at least {least}; got {n!r}.")


def _nearest(name: str, valid: Iterable[str]) -> str:
    return nearest(name, valid) if list(valid) else "they have no such labels."


def pairs_in_words(model: Model, dataset: PairDataset, said: Sequence[int] = ()) -> Pairs:
    """The pairs of a dataset as text, for a result; `said` are the likeliest tokens of the clean runs, where
    they are known."""

    def texts(prompts: Sequence[Sequence[int]]) -> tuple[str, ...]:
        return tuple(model.to_text(ids) for ids in prompts)

    return Pairs(
        task=dataset.name,
        prompts=texts(dataset.clean),
        corrupted=texts(dataset.corrupted),
        answers=tuple(map(model.answer_label, dataset.answers)),
        foils=tuple(map(model.answer_label, dataset.foils)),
        dropped=dataset.dropped,
        several_tokens=not all(Answer.of(one).at_once for one in (*dataset.answers, *dataset.foils)),
        said=tuple(model.labels(list(said))),
        clustered_by=dataset.clustered_by,
    )
