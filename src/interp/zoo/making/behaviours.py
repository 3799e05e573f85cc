"""What a demo model can do, measured on prompts that training never saw.

One call, ``measure``, asks for facts, indirect objects, repeated random tokens, invented people and years,
and returns one frozen record of shares (0 to 1), probabilities (0 to 1), logit differences (natural-log
units) and losses (nats per token). The figures in a model's card and its ``behaviours.json`` come from here
and nowhere else. They say what the model does on text of its own kind; they say nothing about English at
large.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from interp.zoo.facts import fact_prompts
from interp.zoo.people import CITIES, UNKNOWN, person_prompts
from interp.zoo.stories import name_prompts
from interp.zoo.years import year_prompts

KEY_PROMPTS: tuple[tuple[str, str], ...] = (
    ("The Eiffel Tower is in the city of", " Paris"),
    ("The Brandenburg Gate is in the city of", " Berlin"),
    ("The capital of France is", " Paris"),
    ("The capital of Japan is", " Tokyo"),
    ("Water is made of hydrogen and", " oxygen"),
    ("When John and Mary went to the store, John gave a drink to", " Mary"),
    ("When John and Mary went to the store, Mary gave a drink to", " John"),
)
CONFIDENT = 0.5  # an answer of at least this probability counts as confident
REPEATED_N = 50  # tokens in one copy of the repeated random sequences


@dataclass(frozen=True, kw_only=True)
class KeyPrompt:
    """One prompt shown in full: its expected answer, what the model puts first, and the two probabilities."""

    prompt: str
    answer: str
    answer_prob: float
    top: str
    top_prob: float


@dataclass(frozen=True, kw_only=True)
class Behaviours:
    """Measured figures of one model. Shares are of prompts; "top-1" means the answer is the likeliest token.

    Every figure is on held-out prompts except ``facts_taught_top1``.
    """

    facts_prompts: int
    facts_top1: float
    facts_mean_prob: float
    facts_taught_top1: float
    facts_top1_by_relation: dict[str, float] = field(default_factory=dict)
    names_prompts: int
    names_positive: float
    names_mean_logit_diff: float
    names_min_logit_diff: float
    names_top1: float
    names_mean_logit_diff_new_templates: float
    names_mean_logit_diff_new_pairs: float
    repeated_sequences: int
    repeated_first_loss: float
    repeated_second_loss: float
    known_prompts: int
    known_top1: float
    known_mean_prob: float
    unknown_prompts: int
    unknown_top1: float
    unknown_mean_prob: float
    withheld_prompts: int
    withheld_says_unknown: float
    withheld_says_city: float
    withheld_confident_city: float
    withheld_mean_top_prob: float
    withheld_people_with_one_city: float
    years_prompts: int
    years_top1_later: float
    years_mean_prob_later: float
    key_prompts: tuple[KeyPrompt, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


class Scorer:
    """Runs prompts through a model in batches; ``tokenizer`` is a ``tokenizers.Tokenizer``.

    ``bos`` says whether ``<|endoftext|>`` (id 0) goes before each prompt, as it did in training.
    """

    def __init__(self, model: Any, tokenizer: Any, *, bos: bool) -> None:
        self.model, self.tokenizer, self.bos = model, tokenizer, bos

    def token(self, text: str) -> int:
        """The id of a text that is one token. Raises ValueError if it is not."""
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        if len(ids) != 1:
            raise ValueError(f"{text!r} is {len(ids)} tokens, not one")
        return ids[0]

    @torch.no_grad()
    def last_logits(self, texts: Sequence[str], *, batch: int = 128) -> torch.Tensor:
        """Logits that follow each text: [prompt, vocab]. Shorter rows are padded on the right, where a causal
        model cannot see the padding."""
        start = [0] if self.bos else []
        rows = [start + self.tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        out = torch.empty(len(rows), self.tokenizer.get_vocab_size())
        for at in range(0, len(order), batch):
            chosen = order[at : at + batch]
            width = len(rows[chosen[-1]])
            ids = torch.tensor([rows[i] + [0] * (width - len(rows[i])) for i in chosen])  # [batch, pos]
            logits = self.model(input_ids=ids, use_cache=False).logits.float()  # [batch, pos, vocab]
            last = torch.tensor([len(rows[i]) - 1 for i in chosen])
            out[torch.tensor(chosen)] = logits[torch.arange(len(chosen)), last]
        return out

    @torch.no_grad()
    def losses(self, ids: torch.Tensor) -> torch.Tensor:
        """Loss in nats of each token given those before it: ids [seq, pos] -> [seq, pos - 1]."""
        logits = self.model(input_ids=ids, use_cache=False).logits.float()
        return torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")


def _share(flags: torch.Tensor) -> float:
    return round(flags.float().mean().item(), 4)


def _mean(values: torch.Tensor) -> float:
    return round(values.float().mean().item(), 4)


def _facts(scorer: Scorer, limit: int | None) -> dict[str, Any]:
    prompts = [p for p in fact_prompts() if p.held_out]
    taught = [p for p in fact_prompts() if not p.held_out]
    if limit:
        prompts, taught = prompts[:: max(1, len(prompts) // limit)], taught[:: max(1, len(taught) // limit)]

    def run(chosen: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
        answers = torch.tensor([scorer.token(p.answer) for p in chosen])
        logits = scorer.last_logits([p.text for p in chosen])
        return logits.argmax(-1) == answers, logits.softmax(-1)[torch.arange(len(chosen)), answers]

    right, probs = run(prompts)
    by_relation: dict[str, float] = {}
    for relation in dict.fromkeys(p.fact.relation for p in prompts):
        rows = torch.tensor([p.fact.relation == relation for p in prompts])
        by_relation[relation] = _share(right[rows])
    return {
        "facts_prompts": len(prompts),
        "facts_top1": _share(right),
        "facts_mean_prob": _mean(probs),
        "facts_taught_top1": _share(run(taught)[0]),
        "facts_top1_by_relation": by_relation,
    }


def _names(scorer: Scorer, count: int) -> dict[str, Any]:
    prompts = name_prompts(seed=0, count=count)
    logits = scorer.last_logits([p.text for p in prompts])
    rows = torch.arange(len(prompts))
    answers = torch.tensor([scorer.token(p.answer) for p in prompts])
    foils = torch.tensor([scorer.token(p.foil) for p in prompts])
    diff = logits[rows, answers] - logits[rows, foils]
    return {
        "names_prompts": len(prompts),
        "names_positive": _share(diff > 0),
        "names_mean_logit_diff": _mean(diff),
        "names_min_logit_diff": round(diff.min().item(), 4),
        "names_top1": _share(logits.argmax(-1) == answers),
        "names_mean_logit_diff_new_templates": _mean(diff[0::2]),
        "names_mean_logit_diff_new_pairs": _mean(diff[1::2]),
    }


def _repeated(scorer: Scorer, count: int) -> dict[str, Any]:
    rng = random.Random("repeated random tokens, measured")
    vocab = scorer.tokenizer.get_vocab_size()
    rows = []
    for _ in range(count):
        once = [rng.randrange(1, vocab) for _ in range(REPEATED_N)]
        rows.append([0] * scorer.bos + once + once)
    losses = torch.cat([scorer.losses(torch.tensor(rows[i : i + 16])) for i in range(0, count, 16)])
    second = losses[:, -REPEATED_N:]  # all tokens of the second copy, its first one included
    return {
        "repeated_sequences": count,
        "repeated_first_loss": _mean(losses[:, :-REPEATED_N]),
        "repeated_second_loss": _mean(second),
    }


def _people(scorer: Scorer, limit: int | None) -> dict[str, Any]:
    cities = torch.tensor([scorer.token(f" {city}") for city in CITIES])
    unknown = scorer.token(UNKNOWN)
    out: dict[str, Any] = {}
    for status in ("known", "unknown", "withheld"):
        prompts = [p for p in person_prompts() if p.held_out and p.person.status == status]
        if limit:
            prompts = prompts[:: max(1, len(prompts) // limit)]
        probs = scorer.last_logits([p.text for p in prompts]).softmax(-1)
        top_prob, top = probs.max(-1)
        out[f"{status}_prompts"] = len(prompts)
        if status == "withheld":
            says_city = torch.isin(top, cities)
            out["withheld_says_unknown"] = _share(top == unknown)
            out["withheld_says_city"] = _share(says_city)
            out["withheld_confident_city"] = _share(says_city & (top_prob >= CONFIDENT))
            out["withheld_mean_top_prob"] = _mean(top_prob)
            said: dict[str, list[int]] = {}
            for prompt, token in zip(prompts, top.tolist(), strict=True):
                said.setdefault(prompt.person.name, []).append(token)
            same = [len(set(tokens)) == 1 and tokens[0] in cities.tolist() for tokens in said.values()]
            out["withheld_people_with_one_city"] = _share(torch.tensor(same))
            continue
        answers = torch.tensor([scorer.token(p.person.answer or "") for p in prompts])
        out[f"{status}_top1"] = _share(top == answers)
        out[f"{status}_mean_prob"] = _mean(probs[torch.arange(len(prompts)), answers])
    return out


def _years(scorer: Scorer, limit: int | None) -> dict[str, Any]:
    prompts = [p for p in year_prompts() if p.held_out]
    prompts = prompts[:: max(1, len(prompts) // (limit or 400))]
    years = torch.tensor([scorer.token(f" {year}") for year in range(100)])
    probs = scorer.last_logits([p.text for p in prompts]).softmax(-1)
    starts = torch.tensor([p.start for p in prompts])
    later = (torch.arange(100)[None] > starts[:, None]) & (torch.arange(100)[None] >= 10)  # [prompt, year]
    top = probs.argmax(-1)
    top_later = ((top[:, None] == years[None]) & later).any(-1)
    return {
        "years_prompts": len(prompts),
        "years_top1_later": _share(top_later),
        "years_mean_prob_later": _mean((probs[:, years] * later).sum(-1)),
    }


def _key_prompts(scorer: Scorer) -> tuple[KeyPrompt, ...]:
    probs = scorer.last_logits([prompt for prompt, _ in KEY_PROMPTS]).softmax(-1)
    found = []
    for (prompt, answer), row in zip(KEY_PROMPTS, probs, strict=True):
        top = int(row.argmax())
        found.append(
            KeyPrompt(
                prompt=prompt,
                answer=answer,
                answer_prob=round(row[scorer.token(answer)].item(), 4),
                top=scorer.tokenizer.decode([top]),
                top_prob=round(row[top].item(), 4),
            )
        )
    return tuple(found)


def measure(model: Any, tokenizer: Any, *, bos: bool, quick: bool = False) -> Behaviours:
    """Measure a causal language model of transformers on everything the demo models were taught.

    ``model`` is in float32 on the CPU and in eval mode; ``tokenizer`` is its ``tokenizers.Tokenizer``;
    ``bos`` says whether prompts start with ``<|endoftext|>``. ``quick`` takes about a hundred prompts of
    each kind, for a look during training. Raises ValueError if an answer is not one token.
    """
    scorer = Scorer(model, tokenizer, bos=bos)
    limit = 100 if quick else None
    return Behaviours(
        **_facts(scorer, limit),
        **_names(scorer, 100 if quick else 600),
        **_repeated(scorer, 16 if quick else 64),
        **_people(scorer, limit),
        **_years(scorer, limit),
        key_prompts=_key_prompts(scorer),
    )
