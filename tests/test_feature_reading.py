"""Reading features: what is recorded, shown and attributed, against brute force and computations by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import interp
from conftest import run
from interp.errors import InputError
from interp.figures.dashboard.feature_dashboard import dashboard_page
from interp.methods.features.feature_contexts import strongest_places
from interp.methods.features.feature_labels import halves, label_features, label_scores
from interp.methods.features.feature_profiles import feature_profiles
from interp.methods.features.feature_writers import feature_logits, feature_writers, run_for
from interp.methods.features.neuronpedia import neuronpedia_batch
from interp.methods.features.prompt_features import prompt_features
from interp.methods.features.sae_features import sae_features
from interp.results import read_result
from interp.runs import read_run
from interp.saes.activations import JumpReLU, Standard, TopK
from interp.saes.files import write_sae
from interp.saes.neuronpedia import link, neuronpedia_id
from interp.saes.reading import ReadingText, reading_text, record_features
from interp.sites import Address
from interp.zoo.token_labels import QUESTIONS, token_labels
from test_sae_files import flat_folder
from test_saes import make

PROMPT = "When Mary and John went to the store, John gave a drink to"


def ids(model, n=12, length=20, seed=0):
    draw = np.random.default_rng(seed)
    return draw.integers(1, 250, size=(n, length)).tolist()


def dense(model, sae, rows):
    """The features of every sequence by itself: [token, feature], 0 at the first of each."""
    found = []
    for row in rows:
        x = model.run_with_cache([row], [sae.address])[sae.address][0].flatten(1)
        features = sae.encode(x)
        features[0] = 0
        found.append(features)
    return torch.cat(found).numpy()


def reasons(result):
    """What was left out of a result, and why."""
    return {one.what: one.why for one in result.left_out}


@pytest.fixture(scope="module")
def recorded(load):
    model = load("tiny-gpt2")
    sae = make(model, n=30, activation=TopK(4))
    rows = [*ids(model), [5, 6, 7]]  # of different lengths
    return model, record_features(model, sae, ReadingText.of(rows)), dense(model, sae, rows)


def test_the_record_has_every_activation(recorded):
    _, record, every = recorded
    for feature in range(record.n_features):
        tokens, values = record.of(feature)
        back = np.zeros(len(every))
        back[tokens] = values
        np.testing.assert_allclose(back, every[:, feature], atol=1e-5)
        assert (np.diff(values) <= 0).all(), "the strongest first"
    assert record.n_counted == len(every) - len(record.text.sequences)
    assert record.n_active.sum() == (every > 0).sum()
    with pytest.raises(InputError, match="no feature 30"):
        record.of(30)


def test_contexts_and_histograms_against_brute_force(recorded):
    model, record, every = recorded
    n_active = (every > 0).sum(0)
    feature = int(n_active.argmax())
    by_sequence = np.split(every[:, feature], record.starts[1:-1])
    best = sorted(
        ((v.max(), s, int(v.argmax())) for s, v in enumerate(by_sequence) if v.max() > 0), reverse=True
    )
    assert [record.place(t) for t in strongest_places(record, feature, 5)] == [(s, p) for _, s, p in best[:5]]

    result = feature_profiles(model, record, [feature, 3], contexts=5, before=4, after=2, k=5)
    profile = result.of(feature)
    assert profile.n_active == n_active[feature] == sum(profile.histogram.counts)
    assert profile.strongest == pytest.approx(best[0][0], rel=1e-5)
    assert sum(profile.logit_histogram.counts) == model.arch.d_vocab
    for context, (value, sequence, position) in zip(profile.contexts, best, strict=False):
        assert (context.sequence, context.position) == (sequence, position)
        assert context.values[context.marked] == pytest.approx(value, rel=1e-5)
        start = position - context.marked
        whole = by_sequence[sequence][start : position + 3]
        np.testing.assert_allclose(context.values, whole, atol=1e-5)
        own = record.text.sequences[sequence][start : position + 3]
        assert context.tokens == tuple(model.labels(own))
        assert context.marked == min(4, position)
    lower = [context.values[context.marked] for context in profile.lower]
    assert lower == sorted(lower, reverse=True)
    assert lower[-1] == pytest.approx(every[:, feature][every[:, feature] > 0].min(), rel=1e-4)
    cosines = torch.nn.functional.cosine_similarity(record.sae.W_dec[feature], record.sae.W_dec, dim=-1)
    cosines[feature] = -2
    assert profile.neighbours.rows[0] == (
        int(cosines.argmax()),
        pytest.approx(cosines.max().item(), abs=1e-6),
    )
    again = read_result(json.loads(json.dumps(result.to_dict())))
    assert again.to_dict() == result.to_dict()
    assert again.of(feature) == profile
    with pytest.raises(InputError, match="not asked for"):
        result.of(29)


SITES = ["resid_pre", "resid_mid", "resid_post", "attn_out", "z"]


@pytest.mark.parametrize("normalise", ["none", "layer_norm", "constant_norm_rescale"])
@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-qwen3", "tiny-neox"])
@pytest.mark.parametrize("site", SITES)
def test_what_the_senders_write_sums_to_the_pre_activation(load, name, site, normalise):
    model = load(name)
    if site not in model.sites:
        pytest.skip("the model has no such site")
    sae = make(model, site, 1, normalise=normalise, activation=Standard())
    row = ids(model, 1)[0]
    cache = run_for(model, sae, row, writers=True)
    constants = []
    for position in (3, 9):
        x = cache[sae.address][0, position].flatten().double()
        middle, size = {
            "none": (0.0, 1.0),
            "layer_norm": (x.mean(), x.std() + 1e-5),
            "constant_norm_rescale": (0.0, x.norm() / sae.d_in**0.5),
        }[normalise]
        pre = (((x - middle) / size - sae.b_dec) @ sae.W_enc.double() + sae.b_enc)[7]
        found = feature_writers(model, sae, 7, cache, position)
        assert found.parts.sum() == pytest.approx(pre.item(), abs=1e-4)
        senders = [n for n in interp.Graph.of(model).senders if not n.startswith("a2") and n != "m2"]
        if site == "resid_post":
            assert found.names == (*senders, "constant")
        if site == "z":
            h, d_head = 2, model.arch.d_head
            own = (
                cache[sae.address][0, position, h].double()
                @ sae.W_enc.double()[h * d_head : (h + 1) * d_head, 7]
            )
            if normalise != "layer_norm":
                assert found.parts[h] == pytest.approx(own.item() / float(size), abs=1e-4)
        constants.append(found.parts[-1].item())
    if normalise == "none":
        assert constants[0] == pytest.approx(constants[1], abs=1e-4), "no sender is in the constant"


@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-llama"])
def test_logits_by_hand(load, name):
    """What the feature adds to the stream, times the norm's weight over its scale, unembedded."""
    model = load(name)
    sae = make(model, "resid_post", 1, activation=Standard())
    row = ids(model, 1)[0]
    cache = run_for(model, sae, row, writers=False)
    feature = int(sae.encode(cache[sae.address][0, 6]).argmax())
    strength = sae.encode(cache[sae.address][0, 6])[feature]
    added = (strength * sae.W_dec[feature]).double()
    last = cache["resid_post", model.arch.n_layers - 1][0, 6].double()
    if name == "tiny-gpt2":
        norm = model.hf_model.transformer.ln_f
        scale = (last.var(unbiased=False) + norm.eps).sqrt()
        read = (added - added.mean()) / scale * norm.weight.double()
    else:
        norm = model.hf_model.model.norm
        read = added / (last.square().mean() + norm.variance_epsilon).sqrt() * norm.weight.double()
    expected = read @ model.W_U.double()
    found = feature_logits(model, sae, feature, cache, 6)
    np.testing.assert_allclose(found.numpy(), (expected - expected.mean()).detach().numpy(), atol=1e-4)


@pytest.mark.parametrize("site", ["z", "mlp_act", "attn_out", "mlp_out", "resid_mid"])
def test_logits_of_other_sites_are_those_of_what_reaches_the_stream(load, site):
    """Changing the site by the feature changes the residual stream by what the logits are made of."""
    model = load("tiny-qwen3")
    last = model.arch.n_layers - 1
    sae = make(model, site, last, activation=Standard())
    record = record_features(model, sae, ReadingText.of(ids(model, 3)))
    feature = int(record.n_active.argmax())
    result = feature_profiles(model, record, [feature], k=3)
    assert "logits" not in reasons(result)
    place = strongest_places(record, feature, 1)[0]
    sequence, position = record.place(place)
    row = list(record.text.sequences[sequence][: position + 1])
    cache = run_for(model, sae, row, writers=False)
    raw = cache[sae.address]
    x = raw[0, position].flatten()
    only = torch.zeros(sae.n_features)
    only[feature] = sae.encode(x)[feature]
    change = raw.clone()
    change[0, position] += (only @ sae.W_dec).reshape(raw[0, position].shape)
    with_it = model.run_with_cache(
        [row], [("attn_out", last), ("mlp_out", last)], [interp.Edit.set(site, last, value=change)]
    )
    before = model.run_with_cache([row], [("attn_out", last), ("mlp_out", last)])
    written = only @ sae.W_dec
    if site in ("z", "mlp_act"):
        name = {"z": "attn_out", "mlp_act": "mlp_out"}[site]
        written = (with_it[name, last] - before[name, last])[0, position]
    stream = make(model, "resid_post", last, n=1, activation=Standard())
    stream = replace(
        stream,
        W_dec=written[None],
        W_enc=torch.zeros(len(written), 1),
        b_enc=torch.ones(1),
        b_dec=torch.zeros(len(written)),
    )
    expected = feature_logits(model, stream, 0, run_for(model, stream, row, writers=False), position)
    assert result.profiles[0].raised.logits[0] == pytest.approx(expected.max().item(), abs=1e-3)
    assert result.profiles[0].lowered.logits[0] == pytest.approx(expected.min().item(), abs=1e-3)


def test_what_a_site_cannot_give_is_left_out(load):
    model = load("tiny-qwen3")
    sae = make(model, "k", 1, activation=Standard())
    record = record_features(model, sae, ReadingText.of(ids(model, 3)))
    result = feature_profiles(model, record, [0, 5])
    assert set(reasons(result)) == {"logits", "writers"}
    assert result.of(5).raised.rows == result.of(5).writers.rows == ()
    assert result.of(5).contexts


def test_a_planted_feature_says_its_token(load):
    """A feature whose direction is a token's embedding has precision and recall 1 for that token."""
    model = load("demo-gpt2")
    rows = ids(model, 40, 30)
    token = rows[0][5]
    direction = model.W_E[token].double()
    products = (model.W_E.double() @ direction).clone()
    own, products[token] = products[token].item(), -torch.inf
    assert own > products.max(), "the embedding is its own nearest"
    weights = torch.randn(model.arch.d_model, 4, generator=torch.Generator().manual_seed(0))
    weights[:, 2] = direction.float()
    biases = torch.full((4,), -0.5)
    biases[2] = -(own + products.max().item()) / 2
    sae = replace(
        make(model, "embed", n=4, activation=Standard()), W_enc=weights, b_enc=biases, b_dec=torch.zeros(192)
    )
    flat = np.array([i for row in rows for i in row])
    text = ReadingText(
        described="drawn",
        sequences=tuple(map(tuple, rows)),
        label_names=("token", "never"),
        labels=np.stack([flat == token, np.zeros_like(flat, dtype=bool)]),
    )
    record = record_features(model, sae, text)
    result = label_features(model, record, top=2, least=1)
    assert result.labels == ("token",)
    assert result.features[0, 0] == 2
    np.testing.assert_array_equal(result.scores[0, 0], [1, 1, 1])
    np.testing.assert_array_equal(result.best_scores[0, 0], [1, 1, 1])
    assert "never" in reasons(result)
    assert result.label_said_by(2, least=1.0) == "token"
    assert result.label_said_by(0, least=1.0) is None
    alone = label_scores(record.only([2, 0]), text.labels[0])
    whole = label_scores(record, text.labels[0])
    np.testing.assert_array_equal(alone.best_scores, whole.best_scores[[2, 0]])
    profile = feature_profiles(model, record, [2]).of(2)
    assert profile.labels.rows[0].label == "token"
    assert {c.tokens[c.marked] for c in profile.contexts} == set(model.labels([token]))


def test_thresholds_are_the_best_of_all(recorded):
    """Against every threshold tried in turn, on the first half; the scores against counts on the second."""
    _, record, every = recorded
    has = np.random.default_rng(1).random(len(every)) < 0.3
    choose, held_out = halves(record)
    assert not (choose & held_out).any()
    assert ((choose | held_out) == record.counted).all()
    found = label_scores(record, has)

    def measured(feature, threshold, where):
        yes = (every[:, feature] >= threshold) & (every[:, feature] > 0) & where
        right, there = (yes & has).sum(), (has & where).sum()
        return right / max(yes.sum(), 1), right / there, 2 * right / (yes.sum() + there)

    for feature in range(record.n_features):
        tried = {v: measured(feature, v - 1e-6, choose)[2] for v in every[choose, feature] if v > 0}
        best = max(tried.values(), default=0.0)
        assert found.chosen[feature] == pytest.approx(best)
        if tried:
            assert tried[min(tried, key=lambda v: abs(v - found.thresholds[feature]))] == pytest.approx(best)
        np.testing.assert_allclose(found.scores[feature], measured(feature, 0.0, held_out))
        at = found.thresholds[feature] - 1e-6
        np.testing.assert_allclose(found.best_scores[feature], measured(feature, at, held_out))


def test_a_feature_that_is_nowhere_active(recorded, tmp_path):
    model, record, _ = recorded
    silent = replace(record.sae, b_enc=torch.where(torch.arange(30) == 4, -1e4, record.sae.b_enc))
    result = feature_profiles(model, record_features(model, silent, record.text), [4, 5])
    profile = result.of(4)
    assert (profile.n_active, profile.density, profile.strongest) == (0, 0.0, 0.0)
    assert profile.contexts == profile.lower == profile.raised.rows == ()
    assert profile.lowered.rows == profile.writers.rows == ()
    assert sum(profile.histogram.counts) == 0
    assert result.of(5).raised.rows
    assert result.of(5).writers.rows
    interp.feature_dashboard(result, tmp_path / "d.html")
    shown = neuronpedia_batch(result)["features"][0]
    assert shown["activations"] == shown["pos_str"] == []


def test_a_prompt_token_by_token(load):
    model = load("demo-gpt2")
    sae = make(model, activation=JumpReLU(torch.full((40,), 0.3)))
    result = sae_features(model, sae, PROMPT, top=3)
    x = model.run_with_cache(PROMPT, [sae.address])[sae.address][0]
    features, y, empty = sae.encode(x), sae.reconstruct(x), sae.decode(torch.zeros(len(x), 40))
    assert result.excluded == (0,)
    assert (result.features[0] == -1).all()
    for i in result.counted:
        assert result.n_active[i] == (features[i] > 0).sum()
        order = features[i].argsort(descending=True)[:3].tolist()
        expected = [f if features[i, f] > 0 else -1 for f in order]
        assert result.features[i].tolist() == expected
        share = 1 - ((x - y)[i] ** 2).sum() / ((x - empty)[i] ** 2).sum()
        assert result.explained[i] == pytest.approx(share.item(), abs=1e-4)
    listed = {int(f): features[1:, int(f)].max().item() for f in result.features.ravel() if f >= 0}
    assert result.strongest(2) == tuple(sorted(listed, key=lambda f: -listed[f])[:2])
    with pytest.raises(InputError, match="two tokens"):
        sae_features(model, sae, [5])
    with pytest.raises(InputError, match="single prompt"):
        sae_features(model, sae, [PROMPT, PROMPT])


def test_questions_about_tokens_by_hand():
    tokens = [
        ("<|endoftext|>", "separator"),
        ("The", "relation"),
        (" capital", "relation"),
        (" of", "relation"),
        (" France", "subject"),
        (" is", "relation"),
        (" Paris", "answer"),
        (".", "filler"),
        ("<|endoftext|>", "separator"),
        (" Mary", "name"),
        (" and", "filler"),
        (" John", "name"),
        (" John", "name"),
        (" Mary", "indirect_object"),
        ("<|endoftext|>", "separator"),
        (" Mary", "name"),
        (" Paris", "known"),
        (" X", "known"),
        (" Y", "withheld"),
    ]
    texts, labels = zip(*tokens, strict=True)
    answers = dict(zip(QUESTIONS, token_labels(texts, labels), strict=True))
    where = {name: np.flatnonzero(answer).tolist() for name, answer in answers.items()}
    assert where["subject"] == [4]
    assert where["before answer"] == [5]
    assert where["before indirect_object"] == [12]
    assert where["document start"] == [1, 9, 15]
    assert where["name again"] == [12, 13]
    assert where["known, last"] == [17]
    assert where["withheld, last"] == [18]
    assert where["person"] == [16, 17, 18]
    assert where["word: city"] == [6, 16]
    assert where["word: country"] == [4]
    assert where["word: first name"] == [9, 11, 12, 13, 15]
    assert where["before separator"] == [7, 13]


def test_the_demo_text_comes_with_labels(load):
    model = load("demo-qwen3")
    text = reading_text(model, sequences=3, length=40)
    assert text.labels.shape == (len(QUESTIONS), 120)
    assert text.labels[: len(interp.zoo.LABELS)].sum() == 120, "each token has one label of the corpus"
    again = reading_text(model, sequences=3, length=40)
    assert again.sequences == text.sequences
    assert reading_text(model, sequences=3, length=40, seed=1).sequences != text.sequences


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda m, r: feature_profiles(m, r, []), "at least one"),
        (lambda m, r: feature_profiles(m, r, [0, 30]), "no feature 30"),
        (lambda m, r: feature_profiles(m, r, [0], contexts=0), "at least 1"),
        (lambda m, r: label_features(m, r), "No label"),
        (lambda m, r: label_features(m, r, top=31), "top"),
        (lambda m, r: ReadingText.of([]), "two tokens"),
        (lambda m, r: ReadingText.of([[3], [4]]), "two tokens"),
        (lambda m, r: reading_text(m, length=32), "not what"),
        (lambda m, r: reading_text(m, "nowhere.txt", length=32), "cannot be read"),
        (lambda m, r: sae_features(m, r.sae, PROMPT, top=0), "top"),
        (lambda m, r: reading_text(m, sequences=0), "at least one"),
        (lambda m, r: prompt_features(m, r.sae, PROMPT, r.text, n=-1), "negative"),
    ],
)
def test_bad_input_is_a_sentence(recorded, call, sentence):
    model, record, _ = recorded
    with pytest.raises(InputError, match=sentence):
        call(model, record)


def test_an_sae_of_another_model_is_refused(load, recorded):
    _, record, _ = recorded
    with pytest.raises(InputError, match="width"):
        feature_profiles(load("demo-gpt2"), record, [0])
    with pytest.raises(InputError, match="width"):
        record_features(load("demo-gpt2"), record.sae, record.text)


def test_ids_at_neuronpedia(load, tmp_path):
    model = load("demo-gpt2")
    sae = make(model)
    without = flat_folder(tmp_path / "a", sae)
    assert neuronpedia_id(sae.identity, "somewhere/else", folder=without) is None
    folder = flat_folder(tmp_path / "b", sae, neuronpedia_id="gpt2-small/1-own")
    assert neuronpedia_id(sae.identity, str(folder), folder=folder) == "gpt2-small/1-own"
    deep = flat_folder(tmp_path / "c", sae, metadata={"neuronpedia_id": "gpt2-small/2-own"})
    assert neuronpedia_id(sae.identity, str(deep), folder=deep) == "gpt2-small/2-own"
    source = "jbloom/GPT2-Small-SAEs-Reformatted:blocks.8.hook_resid_pre"
    for address, known in (
        (Address("resid_pre", 8), "gpt2-small/8-res-jb"),
        (Address("resid_post", 11), "gpt2-small/12-res-jb"),
        (Address("resid_post", 8), None),
    ):
        assert neuronpedia_id(replace(sae, address=address).identity, source, folder=without) == known
    assert link("gpt2-small/8-res-jb", 650) == "https://www.neuronpedia.org/gpt2-small/8-res-jb/650"


def hostile(model, record):
    """Profiles whose tokens would act, if they could."""
    result = feature_profiles(model, record, [0, 1, 2], neuronpedia="gpt2-small/8-res-jb")
    bad = "</script><img src=x onerror=alert(1)>\u2028"
    profiles = []
    for profile in result.profiles:
        contexts = tuple(replace(c, tokens=(bad,) * len(c.tokens)) for c in profile.contexts)
        raised = replace(profile.raised, tokens=(bad,) * len(profile.raised.tokens))
        profiles.append(replace(profile, contexts=contexts, raised=raised))
    return replace(result, profiles=tuple(profiles))


def test_the_dashboard_is_one_page_in_which_no_token_acts(recorded, tmp_path):
    model, record, _ = recorded
    result = hostile(model, record)
    interp.feature_dashboard(result, tmp_path / "d.html")
    page = (tmp_path / "d.html").read_text()
    assert page.count("<script") == 2
    assert "<img" not in page
    assert "default-src 'none'" in page
    embedded = page.split('id="data">')[1].split("</script>")[0]
    data = json.loads(embedded)
    assert [f["f"] for f in data["features"]] == [0, 1, 2]
    for shown in data["features"]:
        profile = result.of(shown["f"])
        assert shown["n"] == profile.n_active == sum(shown["hist"])
        assert [c["v"][c["m"]] for c in shown["contexts"]] == pytest.approx(
            [c.values[c.marked] for c in profile.contexts], rel=1e-3
        )
        assert shown["link"] == f"https://www.neuronpedia.org/gpt2-small/8-res-jb/{shown['f']}"
    with pytest.raises(InputError, match="cannot be written"):
        interp.feature_dashboard(result, tmp_path)


def test_dashboards_in_neuronpedia_s_format(recorded, tmp_path):
    model, record, _ = recorded
    result = feature_profiles(model, record, [3, 4], neuronpedia="gpt2-small/8-res-jb", k=3)
    interp.write_neuronpedia(result, tmp_path / "batch-0.json")
    batch = json.loads((tmp_path / "batch-0.json").read_text())
    assert (batch["model_id"], batch["layer"], batch["sae_set"]) == ("gpt2-small", 8, "res-jb")
    own = neuronpedia_batch(replace(result, neuronpedia=None), sae_set="mine")
    assert (own["model_id"], own["layer"], own["sae_set"]) == (record.sae.model, 1, "mine")
    for shown, feature in zip(batch["features"], (3, 4), strict=True):
        profile = result.of(feature)
        assert shown["feature_index"] == feature
        assert shown["frac_nonzero"] == profile.density
        assert sum(shown["freq_hist_data_bar_heights"]) == profile.n_active
        for bars in ("freq_hist_data_bar", "logits_hist_data_bar"):
            assert len(shown[f"{bars}_values"]) == len(shown[f"{bars}_heights"])
        assert shown["pos_str"] == list(profile.raised.tokens)
        assert shown["pos_values"] == sorted(shown["pos_values"], reverse=True)
        assert shown["neg_values"] == sorted(shown["neg_values"])
        first = shown["activations"][0]
        assert first["values"][first["qualifying_token_index"]] == pytest.approx(profile.strongest, abs=1e-3)
        assert (first["bin_min"], first["bin_contains"]) == (-1, -1)
        for lower in shown["activations"][len(profile.contexts) :]:
            value = lower["values"][lower["qualifying_token_index"]]
            assert lower["bin_min"] - 2e-3 <= value <= lower["bin_max"] + 2e-3
            assert 0 < lower["bin_contains"] <= 1
            assert len(lower["tokens"]) == len(lower["values"])


def test_the_experiment_shows_all_of_it(load, tmp_path, capsys):
    model = load("demo-gpt2")
    write_sae(tmp_path / "sae", make(model, activation=TopK(5)))
    asked = [f"sae={tmp_path / 'sae'}", "sequences=24", "length=64", "n=3"]
    arguments = [part for setting in asked for part in ("--set", setting)]
    assert run("run", "prompt_features", "--tag", "t", "--out", tmp_path, *arguments) == 0, (
        capsys.readouterr()
    )
    folder = tmp_path / "prompt_features" / "t"
    found = read_run(folder).result
    assert found.to_dict() == json.loads((folder / "result.json").read_text())["result"]
    before = (folder / "prompt_features.png").read_bytes()
    assert run("show", folder, "--redraw") == 0
    assert (folder / "prompt_features.png").read_bytes() == before
    assert "The best feature of each label" in capsys.readouterr().out
    in_prompt = found.prompt.strongest(3)
    assert found.profiles.features[:3] == in_prompt
    assert set(found.labels.features[:, 0].tolist()) <= set(found.profiles.features)
    assert run("dashboard", folder, "--neuronpedia", tmp_path / "batch.json") == 0
    assert (folder / "dashboard.html").read_text() == dashboard_page(found.profiles)
    assert json.loads((tmp_path / "batch.json").read_text()) == neuronpedia_batch(found.profiles)
    assert run("dashboard", folder, "--out", tmp_path / "no" / "where.html") == 2
    assert "cannot be written" in capsys.readouterr().err
    assert run("run", "prompt_features", "--out", tmp_path, "--set", "sae=nowhere") == 2
    assert "nowhere" in capsys.readouterr().err
    assert run("run", "logit_lens", "--out", tmp_path, "--tag", "t") == 0
    assert run("dashboard", tmp_path / "logit_lens" / "t") == 2
    assert "logit_lens" in capsys.readouterr().err


@pytest.mark.parametrize("backend", ["transformer_lens", "nnsight"])
def test_other_backends_read_the_same(load, backend):
    rows = ids(load("demo-gpt2"), 4, 12)
    found = []
    for model in (load("demo-gpt2"), load("demo-gpt2", backend)):
        sae = make(model, "resid_post", 3, activation=Standard())
        record = record_features(model, sae, ReadingText.of(rows))
        found.append((feature_profiles(model, record, [0, 1]), sae_features(model, sae, rows[0])))
    (profiles, prompt), (others, in_other) = found
    for other, profile in zip(others.profiles, profiles.profiles, strict=True):
        assert other.writers.senders == profile.writers.senders
        np.testing.assert_allclose(other.writers.parts, profile.writers.parts, atol=1e-3)
        np.testing.assert_allclose(other.raised.logits, profile.raised.logits, atol=1e-3)
        places = [[(c.sequence, c.position) for c in one.contexts] for one in (other, profile)]
        assert places[0] == places[1]
    np.testing.assert_allclose(in_other.values, prompt.values, atol=1e-3)


def test_text_without_labels_is_read_as_well(load, tmp_path, capsys):
    write_sae(tmp_path / "sae", make(load("demo-gpt2"), activation=TopK(5)))
    (tmp_path / "text.txt").write_text("The capital of France is Paris. John gave a drink to Mary. " * 20)
    asked = [f"sae={tmp_path / 'sae'}", f"text={tmp_path / 'text.txt'}", "sequences=6", "length=32", "n=2"]
    arguments = [part for setting in asked for part in ("--set", setting)]
    assert run("run", "prompt_features", "--tag", "t", "--out", tmp_path, *arguments) == 0, (
        capsys.readouterr()
    )
    found = read_run(tmp_path / "prompt_features" / "t").result
    assert found.labels is None
    assert len(found.profiles.features) == 2
    assert found.profiles.of(found.profiles.features[0]).labels.rows == ()
    assert "text.txt" in found.profiles.text
    assert run("dashboard", tmp_path / "prompt_features" / "t") == 0
    assert run("run", "prompt_features", *arguments, "--set", "sequences=900") == 2
    assert "asked for" in capsys.readouterr().err
