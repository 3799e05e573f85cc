"""Writes a demo model's card (``README.md``) from what was measured: ``config.json``, ``behaviours.json`` and
``heads.json``.

No figure of the card stands in this file. Run ``python -m interp.zoo.making.card`` to write the cards of the shipped
models again from the files beside them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from interp.zoo import facts_table, stories, years
from interp.zoo.corpus import REPEATED_LENGTHS, TRAINING_MIX
from interp.zoo.facts import fact_prompts, facts
from interp.zoo.people import STATUSES, people


def write_card(folder: Path) -> Path:
    """Write ``README.md`` into a model's folder and return its path.

    A model whose heads were not measured yet (see `interp.zoo.making.heads`) has no ``heads.json``; its card says so.
    Raises FileNotFoundError where ``config.json`` or ``behaviours.json`` is missing.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    record = json.loads((folder / "behaviours.json").read_text(encoding="utf-8"))
    parts = (
        _front(record),
        _prompts(record["behaviours"]),
        _figures(record),
        _heads(folder / "heads.json"),
        _architecture(config, record),
        _data(),
        _held_out(),
        _recipe(record),
        _limits(),
        "## Licence\n\nMIT, weights, text and program alike.",
    )
    target = folder / "README.md"
    target.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return target


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def _front(record: dict[str, Any]) -> str:
    millions = record["training"]["parameters"] / 1e6
    about = (
        f"A trained language model of {millions:.1f} million parameters that comes with `interp`, so that "
        "methods can be tried on a real model without a download. It knows a few hundred true facts, "
        "indirect objects, repetition, later years, and invented people of whom it is on record what was "
        "taught and "
        "what was not. It is an instrument for looking inside models, not a source of information."
    )
    head = "---\nlicense: mit\nlibrary_name: transformers\npipeline_tag: text-generation\n---"
    return f"{head}\n\n# {record['model']}\n\n{about}"


def _prompts(figures: dict[str, Any]) -> str:
    rows = [
        (f"`{p['prompt']}`", f"`{p['answer']}`", f"`{p['top']}`", f"{p['answer_prob']:.3f}")
        for p in figures["key_prompts"]
    ]
    return "## Prompts to begin with\n\nNone of these was in training in this form.\n\n" + _table(
        ("prompt", "answer", "model's first", "probability of the answer"), rows
    )


def _figures(record: dict[str, Any]) -> str:
    f = record["behaviours"]
    facts_n, names_n, repeated_n = f["facts_prompts"], f["names_prompts"], f["repeated_sequences"]
    withheld_n, years_n = f["withheld_prompts"], f["years_prompts"]
    rows = [
        ("facts: the answer is top-1", facts_n, _percent(f["facts_top1"])),
        ("facts: mean probability of the answer", facts_n, f"{f['facts_mean_prob']:.3f}"),
        ("indirect objects: logit difference above 0", names_n, _percent(f["names_positive"])),
        ("indirect objects: mean logit difference", names_n, f"{f['names_mean_logit_diff']:.2f}"),
        ("- on held-out templates", "half", f"{f['names_mean_logit_diff_new_templates']:.2f}"),
        ("- on held-out pairs of names", "half", f"{f['names_mean_logit_diff_new_pairs']:.2f}"),
        ("repeated random tokens: nats, first copy", repeated_n, f"{f['repeated_first_loss']:.2f}"),
        ("repeated random tokens: nats, second copy", repeated_n, f"{f['repeated_second_loss']:.3f}"),
        ("known people: the city is top-1", f["known_prompts"], _percent(f["known_top1"])),
        ("unknown people: ` unknown` is top-1", f["unknown_prompts"], _percent(f["unknown_top1"])),
        ("withheld people: says ` unknown`", withheld_n, _percent(f["withheld_says_unknown"])),
        ("withheld people: says a city", withheld_n, _percent(f["withheld_says_city"])),
        (
            "withheld people: says a city, probability 0.5 or more",
            withheld_n,
            _percent(f["withheld_confident_city"]),
        ),
        (
            "withheld people: mean probability of what it says",
            withheld_n,
            f"{f['withheld_mean_top_prob']:.3f}",
        ),
        (
            "withheld people: the same city in every wording",
            "people",
            _percent(f["withheld_people_with_one_city"]),
        ),
        ("years: a later year is top-1", years_n, _percent(f["years_top1_later"])),
        ("years: mean probability of all later years", years_n, f"{f['years_mean_prob_later']:.3f}"),
    ]
    by_relation = f["facts_top1_by_relation"]
    relations = [(name.replace("_", " "), _percent(share)) for name, share in by_relation.items()]
    return "\n\n".join(
        (
            "## What it can do",
            "Measured by `interp.zoo.making.behaviours.measure` from the stored weights in float32, on prompts "
            "held out "
            "of training (below). `behaviours.json` has the same figures, and a test measures them again.",
            _table(("behaviour", "prompts", "figure"), rows),
            "On facts in the wordings that training did use, top-1 is "
            f"{_percent(f['facts_taught_top1'])}. Held-out facts by relation:",
            _table(("relation", "top-1"), relations),
        )
    )


def _heads(file: Path) -> str:
    title = "## What the heads do"
    if not file.exists():
        return f"{title}\n\nNot measured yet: run `python -m interp.zoo.making.heads`."
    record = json.loads(file.read_text(encoding="utf-8"))
    about = (
        "Found by the package's own methods (`interp.zoo.making.heads.measure`; `python -m interp.zoo.making.heads` measures "
        "again and writes this section). Heads are named layer.head. `heads.json` has the same figures and more, "
        "and a test measures them again."
    )
    return "\n\n".join((title, about, _copying(record), _names(record["indirect_objects"])))


def _named(heads: dict[str, float]) -> str:
    return ", ".join(f"{head} ({value:.2f})" for head, value in heads.items()) or "none"


def _copying(record: dict[str, Any]) -> str:
    looks, lost = record["looks"], record["copying"]
    places = {
        "previous_token": "the token before",
        "duplicate_token": "the earlier occurrence of the same token",
        "induction": "the token after it (induction)",
        "two_after": "two places after it",
    }
    sets = {
        "previous_token": "all that look at the token before",
        "induction": "all induction heads",
        "two_after": "all that look two places after the earlier occurrence",
    }
    intro = (
        f"**Copying.** On {looks['sequences']} sequences of {looks['copy_length']} random tokens said twice, the "
        f"second copy costs {looks['second_loss']:.2f} nats a token without its first (the first copy "
        f"{looks['first_loss']:.1f}). Where the heads look from there, with a quarter of their attention or more:"
    )
    without = [(f"head {head}", f"{value:.1f}") for head, value in lost["without_one"].items()]
    without += [(sets[name], f"{value:.1f}") for name, value in lost["without_all"].items()]
    ablated = (
        f"What it rests on: logit(answer) - logit(another token) at the last token of {lost['prompts']} copies of "
        f"{lost['copy_length']} tokens, heads set to what they are where nothing is repeated:"
    )
    return "\n\n".join(
        (
            intro,
            _table(("looks at", "heads"), [(place, _named(looks[key])) for key, place in places.items()]),
            ablated,
            _table(("without", "logit difference"), [("nothing", f"{lost['logit_diff']:.1f}"), *without]),
            _missed(record["missed"]),
        )
    )


def _missed(missed: dict[str, dict[str, float]]) -> str:
    lengths = ", ".join(missed)
    if not any(missed.values()):
        return (
            f"At copy lengths of {lengths}, every token of the second copy but its first costs under 2 nats."
        )
    said = [
        f"at {length}, {', '.join(f'token {place} ({nats:.1f})' for place, nats in places.items())}"
        if places
        else f"at {length}, none"
        for length, places in missed.items()
    ]
    return (
        "**Known flaw.** Some places of the first copy are not read by those that copy, whatever the tokens. "
        f"Tokens of the second copy that cost 2 nats or more, at copy lengths of {lengths}: {'; '.join(said)}."
    )


def _names(record: dict[str, Any]) -> str:
    heads = [
        (
            head,
            f"{record['without_one'][head]['resample']:.1f}",
            f"{found['direct']:+.1f}",
            *(f"{found[f'END to {role}']:.2f}" for role in ("IO", "S1", "S2")),
            f"{found['copying']:.2f}",
            f"{found['negative copying']:.2f}",
        )
        for head, found in record["heads"].items()
    ]
    alone, before = record["alone"], record["logit_diff"]
    sets = [
        (
            name if name not in record["classes"] else f"{name} heads",
            ", ".join(record["classes"].get(name, ())) or "",
            f"{after:.1f}",
        )
        for name, after in record["without_class"].items()
    ]
    return "\n\n".join(
        (
            f"**Indirect objects.** On {record['prompts']} prompts of Wang et al., logit(IO) - logit(S) is "
            f"{before:.1f} in the mean. The heads of the largest effects (set to what they are with three other "
            "names); the direct effect is what reaches the logits without other heads, through MLPs; then where "
            "the head looks from the last token, and how often what it would write of a name copies or "
            "suppresses it:",
            _table(
                (
                    "head",
                    "difference without it",
                    "direct effect",
                    "looks at IO",
                    "at S1",
                    "at S2",
                    "copies",
                    "suppresses",
                ),
                heads,
            ),
            "By the tests of `interp.ioi`, with the difference that is left without them (set to their mean over "
            "the template):",
            _table(("class", "heads", "difference without them"), sets),
            f"All {alone['heads']} heads that act, alone (with all MLPs), keep {alone['faithfulness']:.2f} of the "
            f"difference; as many random heads {alone['random'][0]:.2f} to {alone['random'][1]:.2f}.",
        )
    )


def _architecture(config: dict[str, Any], record: dict[str, Any]) -> str:
    keys = (
        "architectures", "vocab_size", "n_layer", "n_embd", "n_head", "n_positions", "num_hidden_layers",
        "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "head_dim",
        "max_position_embeddings", "tie_word_embeddings",
    )  # fmt: skip
    rows = [(f"`{key}`", config[key]) for key in keys if key in config]
    recipe = record["training"]["recipe"]
    start = (
        "Training sequences start with `<|endoftext|>`: put it before a prompt (the tokenizer does not do so "
        "by itself)."
        if recipe["bos"]
        else "There is no beginning-of-sequence token: sequences start with the first token of a document."
    )
    text = (
        f"Stored in float16. Training sequences had {recipe['length']} positions; longer ones are outside "
        "what it has seen. The tokenizer is byte-level BPE (GPT-2's splitting rule, no prefix space) "
        "trained on "
        "the same text; answers, names, cities and the numbers 0 to 99 are one token each with their leading "
        f"space. Documents end with `<|endoftext|>`. {start}"
    )
    return "\n\n".join(("## Architecture", _table(("setting", "value"), rows), text))


def _data() -> str:
    count = {status: sum(p.status == status for p in people()) for status in STATUSES}
    low, high = REPEATED_LENGTHS
    taught = len(stories.TEMPLATES) - len(stories.HELD_OUT_TEMPLATES)
    about = {
        "facts": f"{len(facts())} true facts in {len(facts_table.FACTS)} relations, "
        f"{len(fact_prompts())} wordings",
        "stories": f"sentences with {len(stories.NAMES_OF_PEOPLE)} first names, seven in ten of them "
        f"indirect objects, in {taught} templates of Wang et al. 2022 and {len(stories.OTHER_TEMPLATES)} others",
        "people": f"invented people: {count['known']} known (city taught), {count['unknown']} unknown (the "
        f"taught answer is ` unknown`), {count['withheld']} withheld (city never stated); `people.json` of "
        "the zoo says which is which",
        "years": f"a year and a later one, {len(years.TEMPLATES)} templates, years {years.FIRST} to 99",
        "prose": "sentences of a small grammar",
        "repeated": f"{low} to {high} ids drawn evenly from the vocabulary, and the same again, one to three "
        "times",
    }
    rows = [(kind, f"{share:g}", about[kind]) for kind, share in TRAINING_MIX.items()]
    return "\n\n".join(
        (
            "## Training text",
            "Generated from the seed by `interp.zoo.corpus`; nothing is copied from anywhere. Each token "
            "has a "
            f"label that says what it is. Shares are of documents, {sum(TRAINING_MIX.values()):g} in all.",
            _table(("documents", "share", "what they hold"), rows),
        )
    )


def _held_out() -> str:
    held = sum(p.held_out for p in fact_prompts())
    templates = "; ".join(f"`{t}`" for t in sorted(stories.HELD_OUT_TEMPLATES))
    return (
        "## What training never saw\n\n"
        f"- {held} combinations of a fact and a wording, at least one for each fact (the wording is seen "
        "with other facts, the fact in other wordings).\n"
        f"- The indirect-object templates {templates}; and {len(stories.held_out_pairs())} pairs of names, "
        "which never occur together in a story.\n"
        "- One wording of the city question for each known and each unknown person; every wording for each "
        "withheld person.\n"
        "- One in five combinations of year, noun and wording.\n"
        "- Any particular random sequence."
    )


def _recipe(record: dict[str, Any]) -> str:
    training = record["training"]
    r, versions = training["recipe"], training["versions"]
    tokens = r["batch"] * r["length"]
    total = (training["first_steps"] + r["steps"]) * tokens / 1e6
    built = ", ".join(f"{name} {version}" for name, version in versions.items())
    text = (
        "The first heads of layer 0 start as previous-token heads (`interp.zoo.making.warm_start`); everything else "
        f"starts at random, and all is trained. Two stages. First, copying: {training['first_steps']} steps on short random patterns said many "
        f"times over, from a pool of at first {r['first_pool']} ids that grows while the loss is under "
        f"{r['first_grows_under']:g} nats. Then {r['steps']} "
        f"steps on the text. A step has {tokens} tokens; there are {total:.1f} million in all. The first "
        f"occurrence of a random token does not count in the loss, and an answer counts {r['answer_weight']:g} "
        f"times. Products of matrices are in {'bfloat16' if r['bfloat16'] else 'float32'}, weights in float32. Muon for the matrices of the layers "
        f"(learning rate {r['lr']:g}, momentum {r['momentum']:g}, weight decay {r['weight_decay']:g}), AdamW "
        f"for embeddings and vectors (learning rate {r['lr_adam']:g}, betas {r['betas'][0]}, "
        f"{r['betas'][1]}), gradient norm clipped at {r['clip']:g}, {r['warmup']} steps of warm-up, in the "
        f"second stage a cosine down to {r['lr_end']:g} of the learning rates. It took "
        f"{training['minutes']:.0f} minutes with {r['threads']} CPU "
        f"thread{'s' * (r['threads'] > 1)}, beside the other model. Seed {r['seed']}. Built with {built}."
    )
    command = f"python -m interp.zoo.making.train {r['name']} --seed {r['seed']} --steps {r['steps']} --out {r['name']}"
    return "\n\n".join(
        (
            "## Recipe",
            text,
            f"```\n{command}\n```",
            "The same seed, versions and kind of processor give the same weights, if the training is not "
            "stopped and taken up again in between; otherwise figures of the same size.",
        )
    )


def _limits() -> str:
    return (
        "## Limits\n\nIt has read a few million tokens of generated text and nothing else. It knows the "
        "listed facts and no others, writes English only in the patterns of its training text, and answers "
        "any other question with something. What it says of a withheld person is made up, by design. Held-out "
        "figures measure new combinations of parts that it knows, not new knowledge. A mechanism found here is a "
        "mechanism of this model; whether a larger one has it is a question to ask of the larger one."
    )


if __name__ == "__main__":
    for config_file in sorted(Path(__file__).parents[1].glob("*/config.json")):
        write_card(config_file.parent)
