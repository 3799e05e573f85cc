"""Generated text and its activations, cached and not, against runs of the whole text with the same edits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import interp
from families import FAMILIES, family_model
from interp import Edit, EditFrom, Sample
from interp.edits import Change
from interp.errors import EditError, InputError, SiteError
from interp.models.base import Model
from interp.models.generating.generated import Generated
from interp.models.generating.taps import inner
from interp.models.gguf.packages import GEMMA, is_installed
from interp.models.self_check import self_check
from interp.saes.activations import TopK
from interp.saes.edits import feature_edit
from interp.sites import SITES, Address
from test_owners_model import scaled_by_length
from test_saes import make

PROMPT = [11, 7, 91, 200, 33, 5]
N = 4


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def explicit(edit: Edit | EditFrom, n_prompt: int, n_pos: int) -> Edit | None:
    """The edit of a text that is there, at the positions where it acts."""
    own, positions = edit, None
    if isinstance(edit, EditFrom):
        own = edit.edit
        positions = range(n_prompt if edit.start == "generated" else edit.start % n_prompt, n_pos)
    elif edit.address.positions is not None:
        positions = [p % n_prompt for p in edit.address.positions]
    else:
        return edit
    where = own.address
    address = (
        Address(where.site, where.layer, list(positions), where.heads, where.rows) if positions else None
    )
    return None if address is None else replace(own, address=address)


def grown(model: Model, prompt: list[int], edits: Sequence[Edit | EditFrom], rows: int, n: int):
    """The texts of as many rows, and the logits of each new token, by running all of each text."""
    texts, logits = [list(prompt) for _ in range(rows)], []
    for _ in range(n):
        made = [explicit(edit, len(prompt), len(texts[0])) for edit in edits]
        last = model.forward(texts, [edit for edit in made if edit is not None])[:, -1].double()
        logits.append(last)
        for text, token in zip(texts, last.argmax(-1).tolist(), strict=True):
            text.append(token)
    return texts, logits


def every_kind(model: Model, prompt: list[int], sites: Sequence[str] | None = None) -> list[Edit | EditFrom]:
    """Edits of every site, or of some, in a row each: at positions of the prompt, from one on, in what is
    said, and everywhere; row 0 is not edited."""
    edits: list[Edit | EditFrom] = []
    cache = model.run_with_cache([prompt], model.sites)
    for site in model.sites if sites is None else sites:
        layer = 1 if SITES[site].per_layer else None
        value = cache[Address(site, layer)]
        heads = {"heads": [0]} if SITES[site].per_head else {}
        direction = noise(value.shape[-1]) * float(value.std())
        row = len(edits) + 1
        if site == "pattern":
            other = noise(1, 1, len(prompt), len(prompt), seed=row).tril().abs()
            edits.append(Edit.scale(site, layer, value=0.3, positions=[1, -1], rows=row))
            edits.append(EditFrom(Edit.zero(site, layer, **heads, rows=row + 1), "generated"))
            edits.append(EditFrom(Edit.scale(site, layer, value=-1.0, rows=row + 2), -1))
            edits.append(Edit.scale(site, layer, value=other[..., :1, :1], rows=row + 3))
            continue
        edits.append(Edit.add(site, layer, value=direction, positions=[1, -1], rows=row))
        edits.append(EditFrom(Edit.project_out(site, layer, value=direction, rows=row + 1), -2))
        edits.append(EditFrom(Edit.set(site, layer, value=direction, **heads, rows=row + 2), "generated"))
        edits.append(Edit.scale(site, layer, value=0.5, **heads, rows=row + 3))
    return edits


@pytest.fixture(scope="module")
def family():
    """A tiny model of a family, loaded once for this module."""
    models: dict[str, Model] = {}

    def of(name: str) -> Model:
        if name not in models:
            models[name] = interp.load_model(family_model(name), device="cpu", self_check=False)
        return models[name]

    return of


@pytest.mark.parametrize("name", FAMILIES)
def test_cached_and_uncached_are_runs_of_the_whole_text(name, family):
    """Every family, every site, every kind of edit: the same tokens, logits and activations."""
    model = family(name)
    cached_is_uncached_is_whole(model, PROMPT, every_kind(model, PROMPT), N)


REAL = [pytest.mark.real, pytest.mark.skipif(not is_installed(GEMMA), reason="`make real` installs it")]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["demo-gpt2", "demo-qwen3", pytest.param(GEMMA.name, marks=REAL)])
def test_cached_and_uncached_are_the_same_in_trained_models(name):
    """As in the small ones of every family; the edits of a few sites at a time."""
    model = interp.load_model(name, device="cpu")
    prompt = model.to_tokens("The capital of France is").row(0)
    for i in range(0, len(model.sites), 4):
        cached_is_uncached_is_whole(model, prompt, every_kind(model, prompt, model.sites[i : i + 4]), 3)


def cached_is_uncached_is_whole(
    model: Model, prompt: list[int], edits: Sequence[Edit | EditFrom], n: int
) -> None:
    """What is said and read with a cache and without one is that of runs of the whole text, row by row."""
    rows = len(edits) + 1
    texts, expected = grown(model, prompt, edits, rows, n)
    prompts = [prompt] * rows
    whole = model.run_with_cache(
        texts, model.sites, [e for e in (explicit(one, len(prompt), len(texts[0])) for one in edits) if e]
    )
    for cache in (True, False):
        asked = {"edits": edits, "stop": (), "sites": model.sites, "cache": cache}
        steps = list(model.stream(prompts, n, **asked))
        for step, logits in zip(steps, expected, strict=False):  # one more reads the last token
            assert torch.allclose(step.logits, logits, atol=1e-4 * float(logits.abs().max()))
        found = Generated.of(model.to_tokens(prompts), steps, why="")
        assert found.said == tuple(tuple(text[len(prompt) :]) for text in texts)
        for site in model.sites:
            for layer in range(model.arch.n_layers) if SITES[site].per_layer else [None]:
                value = whole[Address(site, layer)]
                mine = torch.stack([found.read(site, layer, row=row) for row in range(rows)])
                assert mine.shape == value.shape
                assert torch.allclose(mine, value, atol=1e-4 * float(value.abs().max())), (site, layer)


@pytest.mark.parametrize("name", ["gpt2", "gemma3_text", "gpt_neo"])
def test_prompts_of_any_lengths_give_what_each_gives_by_itself(name, family):
    model = family(name)
    prompts = [PROMPT, [9, 8], [*PROMPT, 4, 5], [8, 9], PROMPT[:2]]
    add = Edit.add("resid_post", 1, value=noise(5, 1, 32), rows=[0, 1, 2, 3, 4])  # each row its own
    asked = {"stop": (), "sites": ["resid_post"]}
    together = model.generate(prompts, N, edits=[add], **asked)
    assert together.path == "cached"
    for row, prompt in enumerate(prompts):
        own = Edit.add("resid_post", 1, value=noise(5, 1, 32)[row])
        alone = model.generate([prompt], N, edits=[own], **asked)
        assert together.said[row] == alone.said[0]
        assert together.log_probs[row] == pytest.approx(alone.log_probs[0], abs=1e-4)
        assert torch.allclose(together.read("resid_post", 2, row=row), alone.read("resid_post", 2), atol=1e-3)


LENGTHS = [PROMPT, [9, 8, 4], [8, 9, 7], [*PROMPT, 4]]


QUICK = ("gpt2", "gemma3_text", "bloom")  # positions that are learned, that turn, and that are slopes


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in FAMILIES]
)
def test_texts_of_several_lengths_go_on_together(name, family):
    """In one pass, with every kind of edit at every site: what each says and holds by itself."""
    model = family(name)
    assert model.goes_on_joined()
    for edits in every_kind_alone(model):
        texts_are_those_of_each_alone(model, LENGTHS, edits, 3)


def every_kind_alone(model: Model) -> list[list[Edit | EditFrom]]:
    """Those of `every_kind` in every row, one kind of them at all sites each time."""
    found: list[Edit | EditFrom] = []
    for edit in every_kind(model, PROMPT):
        own = inner(edit)
        own = replace(own, address=replace(own.address, rows=None))
        found.append(EditFrom(own, edit.start) if isinstance(edit, EditFrom) else own)
    return [found[i::4] for i in range(4)]


def texts_are_those_of_each_alone(
    model: Model, prompts: list[list[int]], edits: Sequence[Edit | EditFrom], n: int
) -> None:
    together = model.generate(prompts, n, edits=edits, stop=(), sites=model.sites, cache=True)
    for row, prompt in enumerate(prompts):
        alone = model.generate([prompt], n, edits=edits, stop=(), sites=model.sites, cache=True)
        assert together.said[row] == alone.said[0]
        assert together.log_probs[row] == pytest.approx(alone.log_probs[0], abs=1e-4)
        for site in model.sites:
            layer = model.arch.n_layers - 1 if SITES[site].per_layer else None
            mine, own = together.read(site, layer, row=row), alone.read(site, layer)
            assert torch.allclose(mine, own, atol=1e-4 * float(own.abs().max().clamp(min=1))), site


def test_lengths_that_are_far_apart_do_not_go_on_together(family, monkeypatch):
    """A text would become more than twice as long, with places that hold nothing."""
    model, widths = family("llama"), []
    run_last = model.run_last

    def counted(ids: Tensor, taps, past):
        pads = None if past is None else past.pads
        widths.append((len(ids), None if pads is None else pads.tolist()))
        return run_last(ids, taps, past)

    prompts = [PROMPT[:1], PROMPT[:2], [*PROMPT, *PROMPT, 7], [9]]
    alone = [model.generate([prompt], 3, stop=()).said[0] for prompt in prompts]
    model.goes_on_joined()
    monkeypatch.setattr(model, "run_last", counted)
    assert model.generate(prompts, 3, stop=()).said == tuple(alone)
    each = [(2, None), (1, None), (1, None)]
    assert widths == [*each, (3, [1, 1, 0]), (1, None), (3, [1, 1, 0]), (1, None)]


def test_a_model_that_does_not_go_on_together_takes_turns(family):
    """One that counts positions from the left of what it is given, whatever it is told of them."""
    hf = family_model("gpt2")

    def count(_module, args, kwargs):
        past = kwargs["past_key_values"]
        n = 0 if past is None else past.get_seq_length()
        positions = torch.arange(n, n + args[0].shape[1])[None]
        return args, kwargs | {"position_ids": positions}

    hf.transformer.register_forward_pre_hook(count, with_kwargs=True)
    model = interp.load_model(hf, device="cpu", self_check=False)
    found = model.generate(LENGTHS, N, stop=())
    assert found.path == "cached"
    assert not model.goes_on_joined()
    assert found.said == family("gpt2").generate(LENGTHS, N, stop=()).said


def test_edits_of_the_prompt_act_as_in_a_run_of_it(family):
    """A cached value, a mean over its positions and a pattern for each key are those of the prompt."""
    model = family("qwen3")
    prompt = [PROMPT]
    cache = model.run_with_cache(prompt, ["resid_post", "pattern", "k"])
    other = model.run_with_cache([PROMPT[::-1]], ["resid_post", "pattern", "k"])
    positions = list(range(len(PROMPT)))
    mean = cache["resid_post", 1].mean(1, keepdim=True)
    same = model.generate(prompt, N, stop=()).said
    for edit, plain in (
        (Edit.set("k", 1, value=other["k", 1], positions=positions), None),
        (Edit.set("pattern", 1, value=other["pattern", 1], positions=positions), None),
        (
            Edit.mean("resid_post", 1, positions=[1, 2]),
            Edit.set("resid_post", 1, value=mean, positions=[1, 2]),
        ),
    ):
        found = [
            model.generate(prompt, N, edits=[edit], stop=(), cache=cache, sites=["resid_post"])
            for cache in (True, False)
        ]
        assert found[0].said == found[1].said
        assert torch.allclose(found[0].read("resid_post", 2), found[1].read("resid_post", 2), atol=1e-4)
        assert torch.allclose(
            found[0].read("resid_post", 2)[: len(PROMPT)],
            model.run_with_cache(prompt, ["resid_post"], [edit])["resid_post", 2][0],
            atol=1e-4,
        )
        if plain is not None:
            assert model.generate(prompt, N, edits=[plain], stop=()).said == found[0].said
    for site in ("k", "pattern"):
        own = Edit.set(site, 1, value=cache[site, 1], positions=positions)
        assert model.generate(prompt, N, edits=[own], stop=()).said == same


def test_features_are_edited_in_what_is_said(family):
    model = family("gpt2")
    for activation in (None, TopK(2)):
        sae = make(model, "resid_post", 1, **({} if activation is None else {"activation": activation}))
        values = torch.tensor([[[3.0]], [[-2.0]]])
        edits = [
            EditFrom(feature_edit(sae, "add", [3], value=values), "generated"),
            feature_edit(sae, "set", [5], value=4.0, positions=[2], rows=1),
        ]
        both = [model.generate([PROMPT, [9, 8, 7]], N, edits=edits, stop=(), cache=c) for c in (True, False)]
        assert both[0].said == both[1].said
        for row, prompt in enumerate((PROMPT, [9, 8, 7])):
            alone = [EditFrom(feature_edit(sae, "add", [3], value=float(values[row])), "generated")]
            alone += [feature_edit(sae, "set", [5], value=4.0, positions=[2])] * row
            assert grown(model, prompt, alone, 1, N)[0][0][len(prompt) :] == list(both[0].said[row])


class _Centred(Change):
    """Takes off the mean over positions, and so looks at all of them."""

    def check(self, model) -> None: ...

    def __call__(self, block: Tensor) -> Tensor:
        return block - block.mean(1, keepdim=True)

    def to_dict(self) -> dict:
        return {}


def test_what_cannot_be_cached_is_run_uncached_and_says_so(family, load):
    model = family("gpt2")
    edit = Edit("features", Address("resid_post", 1), _Centred())
    found = model.generate([PROMPT], N, edits=[edit], stop=())
    assert found.path == "uncached"
    assert "depend on others" in found.why
    assert grown(model, PROMPT, [edit], 1, N)[0][0][len(PROMPT) :] == list(found.said[0])
    with pytest.raises(InputError, match="cannot be generated from a cache"):
        model.generate([PROMPT], N, edits=[edit], cache=True)


def test_a_model_that_does_not_go_on_from_what_was_kept_is_run_uncached():
    """Its owner's hook counts positions from the first that it is given."""
    hf = family_model("llama")

    def count(_module, _args, output: Tensor) -> Tensor:
        return output + torch.arange(output.shape[1])[None, :, None] * 0.3

    hf.model.embed_tokens.register_forward_hook(count)
    model = interp.load_model(hf, device="cpu")
    found = model.generate([PROMPT], N, stop=())
    assert found.path == "uncached"
    assert "off by" in found.why
    assert grown(model, PROMPT, [], 1, N)[0][0][len(PROMPT) :] == list(found.said[0])
    (check,) = (one for one in self_check(model) if one.name.startswith("generation"))
    assert check.passed
    assert check.note == found.why


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
def test_rotary_positions_that_change_with_the_length_are_run_uncached(kind):
    model = interp.load_model(scaled_by_length(kind), device="cpu")
    over, within = (model.generate([PROMPT], n, stop=()) for n in (N, 2))  # the scale changes behind 8 tokens
    assert "scaled by the length" in over.why
    assert within.path == "cached"
    assert grown(model, PROMPT, [], 1, N)[0][0][len(PROMPT) :] == list(over.said[0])
    beyond = model.generate([[*PROMPT, *PROMPT]], N, stop=())
    assert beyond.path == ("cached" if kind == "longrope" else "uncached")
    assert grown(model, [*PROMPT, *PROMPT], [], 1, N)[0][0][2 * len(PROMPT) :] == list(beyond.said[0])


@pytest.mark.parametrize("backend", ["transformer_lens", "nnsight"])
def test_other_backends_say_the_same_uncached(load, backend):
    edits = [EditFrom(Edit.add("resid_post", 1, value=noise(32)), -1), Edit.zero("attn_out", 0, positions=1)]
    theirs = load("tiny-qwen3", backend).generate([PROMPT, [9, 8]], 3, edits=edits, stop=())
    ours = load("tiny-qwen3").generate([PROMPT, [9, 8]], 3, edits=edits, stop=())
    assert theirs.said == ours.said
    assert (ours.path, theirs.path) == ("cached", "uncached")
    assert backend in theirs.why


# ---- how tokens are chosen, and where a text ends ----


def test_a_text_ends_at_a_stop_token(family):
    model = family("gpt2")
    prompts = [PROMPT, PROMPT[::-1], [9, 8]]
    free = model.generate(prompts, N, stop=())
    stop = [free.said[0][1], free.said[1][3]]
    for sites in ((), ["resid_post"]):
        found = model.generate(prompts, N, stop=stop, sites=sites)
        for row, ids in enumerate(free.said):
            n = next((i + 1 for i, token in enumerate(ids) if token in stop), N)
            assert found.said[row] == ids[:n]
            assert found.ended[row] == (ids[n - 1] in stop)
            if sites:  # the last token is read as well
                assert len(found.read("resid_post", 0, row=row)) == len(prompts[row]) + n
    assert found.ended[0]
    assert found.tokens.row(0) == [*PROMPT, *found.said[0]]
    lengths = [[9, 8], PROMPT, PROMPT[:3], [8, 9]]
    free = model.generate(lengths, 8, stop=())
    stop = [free.said[1][2], free.said[0][4], free.said[3][3]]
    found = model.generate(lengths, 8, stop=stop, sites=["resid_post"])
    for row, ids in enumerate(free.said):
        n = next((i + 1 for i, token in enumerate(ids) if token in stop), 8)
        assert found.said[row] == ids[:n]
        assert len(found.read("resid_post", 1, row=row)) == len(lengths[row]) + n
    named = model.generate(prompts, N)  # the model's own end of text
    assert all(256 not in ids[:-1] for ids in named.said)


def test_the_models_own_end_of_text_stops_it():
    hf = family_model("gpt2")
    model = interp.load_model(hf, device="cpu", self_check=False)
    free = model.generate([PROMPT], N, stop=()).said[0]
    hf.generation_config.eos_token_id = [free[2], 3]
    found = model.generate([PROMPT], N)
    assert found.said == (free[:3],) if free[2] not in free[:2] else found.said == (free[:1],)
    assert found.ended == (True,)


def test_what_is_drawn_depends_on_the_seed_and_the_prompt_alone(family):
    model = family("gpt2")
    prompts, sample = [PROMPT, [9, 8], PROMPT[::-1], PROMPT], Sample(temperature=1.5, top_p=0.9, seed=3)
    together = model.generate(prompts, 8, sample=sample, stop=())
    for row, prompt in enumerate(prompts[:3]):
        for cache in (True, False):
            assert model.generate([prompt], 8, sample=sample, stop=(), cache=cache).said == (
                together.said[row],
            )
    assert together.said[3] != together.said[0]  # the same prompt again draws anew
    assert model.generate(prompts, 8, sample=replace(sample, seed=4), stop=()).said != together.said
    assert (
        model.generate(prompts, 8, sample=Sample(temperature=1e-6), stop=()).said
        == model.generate(prompts, 8, stop=()).said
    )


def test_tokens_are_drawn_as_often_as_they_are_likely():
    logits = torch.tensor([0.5, 0.2, 0.15, 0.1, 0.05]).log() * 2  # at temperature 2, these probabilities
    sample = Sample(temperature=2.0, top_p=0.8)
    (stream,) = sample.streams([[1]])
    drawn = torch.tensor([sample.draw(logits, stream) for _ in range(4000)]).bincount(minlength=5) / 4000
    kept = torch.tensor([0.5, 0.2, 0.15, 0, 0]) / 0.85  # the fewest that have 0.8 together
    assert torch.allclose(drawn, kept, atol=0.03)
    assert drawn[3:].sum() == 0
    (again,) = sample.streams([[1]])
    assert sample.draw(logits, again) in (0, 1, 2)


def test_log_probs_are_those_of_the_model(family):
    model = family("llama")
    found = model.generate([PROMPT], 3, sample=Sample(temperature=0.5, seed=1), stop=())
    log_probs = model.forward(found.tokens)[0].double().log_softmax(-1)
    for i, token in enumerate(found.said[0]):
        assert found.log_probs[0][i] == pytest.approx(log_probs[len(PROMPT) + i - 1, token].item(), abs=1e-4)


# ---- token by token ----


def test_streaming_gives_what_the_whole_gives(family):
    model = family("gemma3_text")
    prompts = [PROMPT, [9, 8], PROMPT[::-1]]
    said: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for step in model.stream(prompts, N, stop=()):
        for row, token in zip(step.rows, step.ids, strict=True):
            said[row].append(token)
    assert tuple(map(tuple, said.values())) == model.generate(prompts, N, stop=()).said


def test_between_two_steps_the_model_is_its_owners(family):
    model = family("gpt2")
    steps = model.stream([PROMPT], N, edits=[Edit.scale("resid_post", 1, value=2.0)], stop=())
    next(steps)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.hf_model.modules())
    plain = model.forward([PROMPT])
    next(steps)
    assert torch.equal(model.forward([PROMPT]), plain)
    steps.close()


# ---- what is refused ----


def test_what_cannot_be_generated_is_refused_before_anything_runs(family):
    model = family("gpt2")
    add = Edit.add("resid_post", 1, value=1.0)
    values = torch.ones(len(PROMPT), 32)
    for error, said, asked in (
        (InputError, "at least 1", {"n_tokens": 0}),
        (InputError, "at most 64", {"n_tokens": 60}),
        (InputError, "between 0 and 256", {"stop": [300]}),
        (InputError, "'auto' or a list", {"stop": "end"}),
        (InputError, "no choice", {"cache": "yes"}),
        (SiteError, "Unknown site", {"sites": ["nowhere"]}),
        (SiteError, "out of range", {"edits": [Edit.zero("resid_post", 1, positions=9)]}),
        (EditError, "starts at position 9", {"edits": [EditFrom(add, 9)]}),
        (EditError, "would change with each token", {"edits": [Edit.mean("resid_post", 1)]}),
        (EditError, "positions of its own", {"edits": [Edit.set("resid_post", 1, value=values)]}),
    ):
        with pytest.raises(error, match=said):
            model.stream([PROMPT], **{"n_tokens": N, **asked})
    with pytest.raises(EditError, match="leave its positions out"):
        EditFrom(Edit.add("resid_post", 1, value=1.0, positions=1), 0)
    with pytest.raises(EditError, match="not at 'here'"):
        EditFrom(add, "here")
    for wrong in ({"temperature": 0.0}, {"top_p": 0.0}, {"top_p": 1.5}):
        with pytest.raises(InputError):
            Sample(**wrong)
    with pytest.raises(SiteError, match="was not read"):
        model.generate([PROMPT], 1).read("resid_post", 1)
