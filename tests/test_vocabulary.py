"""What tokenizers of every kind make of text, and labels that name their tokens."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable

import pytest
from transformers import AutoConfig, PreTrainedTokenizerBase

import interp
from conftest import byte_tokenizer, run, tiny_model
from interp.app.views import explore, lens
from interp.app.views.tokens import TypedTokens, read_token
from interp.errors import InputError, InterpWarning, ModelLoadError
from interp.models.sentencepiece_files import check_sentencepiece
from interp.text.sequences import load_text
from interp.tokens import Encoder
from interp.vocabulary import encode, labels, text_of
from tokenizers_made import (
    WORDS,
    llama_tokenizer,
    lossy_tokenizer,
    unigram_tokenizer,
    word_tokenizer,
)

SPACE_STRIPPING: dict[str, Callable[[], PreTrainedTokenizerBase]] = {
    "llama": llama_tokenizer,
    "llama with Prepend": lambda: llama_tokenizer(prepend=True),
    "unigram": unigram_tokenizer,
}
EVERY = {**SPACE_STRIPPING, "bytes": byte_tokenizer, "lossy": lossy_tokenizer, "words": word_tokenizer}


def encoder(kind: str) -> Encoder:
    tokenizer = EVERY[kind]()
    return Encoder(tokenizer, tokenizer.bos_token_id, len(tokenizer), None, len(tokenizer))


def model_with(tokenizer: PreTrainedTokenizerBase) -> interp.Model:
    """A tiny Llama of this vocabulary."""
    config = AutoConfig.for_model(
        "llama", vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    return interp.load_model(type(tiny_model("tiny-llama"))(config).eval(), tokenizer, self_check=False)


@pytest.mark.parametrize("kind", SPACE_STRIPPING)
def test_an_answer_goes_on_from_the_prompt(kind):
    """The id of "A" is the one that follows "(" in a text; no space is put in front of "7" and "."."""
    e = encoder(kind)
    for answer in ("A", "7", ".", "("):
        (*_, before, wanted) = e.prompt(f"Mary is ({answer}")
        assert labels(e.tokenizer, [before])[0] in ("(", " (")
        assert e.single_token(answer) == wanted
    assert e.single_token(" Paris") == e.prompt("in Paris")[-1]
    assert labels(e.tokenizer, [e.single_token("A")]) == ["A"]


@pytest.mark.parametrize("kind", SPACE_STRIPPING)
def test_labels_join_to_the_text_and_a_prompt_is_read_back(kind):
    e = encoder(kind)
    prompt = "The capital of France is (Paris) 7."
    ids = e.prompt(prompt)
    assert labels(e.tokenizer, ids)[:5] == ["<s>", " The", " capital", " of", " France"]
    assert "".join(labels(e.tokenizer, ids[1:])) == f" {prompt}", (
        "with the space that the tokenizer put there"
    )
    assert text_of(e.tokenizer, ids) == f"<s>{prompt}"
    assert text_of(e.tokenizer, ids[1:], goes_on=True) == f" {prompt}"


@pytest.mark.parametrize("kind", EVERY)
def test_every_printed_label_names_its_token(kind):
    e = encoder(kind)
    found = labels(e.tokenizer, range(e.d_vocab))
    assert [e.single_token(label) for label in found] == list(range(e.d_vocab))


@pytest.mark.parametrize("kind", ["llama", "llama with Prepend", "bytes"])
def test_running_text_is_decoded_as_a_whole(kind):
    prompt = "Wörld 日本 🙂 a  b "
    e = encoder(kind)
    ids = e.prompt(prompt)
    assert any(label.startswith("<") for label in labels(e.tokenizer, ids[1:])), "no text of their own"
    assert text_of(e.tokenizer, ids[1:]) == prompt
    half = ids[: len(ids) // 2]
    assert "�" not in "".join(labels(e.tokenizer, half))


def test_results_show_the_prompt_as_it_was_typed():
    from interp.figures.views import logit_lens as lens_view

    model = model_with(llama_tokenizer())
    prompt = "Mary is in 日本 🙂"
    result = interp.logit_lens(model, prompt)
    assert result.prompt == f"<s>{prompt}"
    assert f"Prompt: “{prompt}”" in lens_view.view(result).above
    assert model.to_text(model.to_tokens(prompt).row(0)) == f"<s>{prompt}"


@pytest.mark.parametrize(
    ("kind", "text", "shown"),
    [
        ("unigram", "Mary is in Wörld", "'ö'.*'W<unk>rld'|'ö'"),
        ("unigram", "Mary is in 日本", "<unk>"),
        ("lossy", "The café", "'é'.*'The caf'"),
        ("words", "The capital of Narnia is", r"\[UNK\]"),
    ],
)
def test_text_that_is_lost_is_shown(kind, text, shown):
    with pytest.raises(InputError, match=shown):
        encoder(kind).prompt(text)
    with pytest.raises(InputError, match="loses text"):
        encoder(kind).single_token("é")


def test_a_special_token_that_is_added_later_is_heeded():
    """The special tokens are listed once, for as long as the tokenizer stays as it is."""
    tokenizer = byte_tokenizer()
    text = "one <|turn|> two"
    before = encode(tokenizer, text)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|turn|>"]})
    after = encode(tokenizer, text)
    assert len(after) < len(before)
    assert tokenizer.convert_tokens_to_ids("<|turn|>") in after
    assert text_of(tokenizer, after) == text


def test_what_is_no_loss():
    """Spaces that the tokenizer does not keep apart, and one character otherwise composed."""
    assert len(encoder("words").prompt("The capital  of France.")) == 6
    assert encoder("llama").prompt(" Mary") == encoder("llama").prompt("Mary")
    bytewise = encoder("bytes")
    assert bytewise.prompt("e\u0301") != bytewise.prompt("\u00e9")
    assert encoder("llama").prompt("The </s> Mary")


def test_text_to_learn_from_that_is_lost_is_told_once(tmp_path):
    model = model_with(lossy_tokenizer())
    (tmp_path / "text.txt").write_text("one café, one caff", encoding="utf-8")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        load_text(model, str(tmp_path / "text.txt"), training=2, held_out=2, length=4)
    assert [str(one.message) for one in told if issubclass(one.category, InterpWarning)] == [
        "Document 1: This model's tokenizer loses text ('é', ','): it reads 'one café, one caff' as "
        "'one caf one caff'."
    ]


def test_an_id_is_asked_for_in_angle_brackets():
    e = encoder("llama")
    paris = e.single_token(" Paris")
    assert e.single_token(f"<{paris}>") == paris
    bare = Encoder(None, None, 20, None, 20)
    assert bare.single_token("<7>") == 7
    with pytest.raises(InputError, match="between 0 and 19"):
        bare.single_token("<20>")


def test_the_app_follows_tokens_by_their_ids():
    """Also those whose text is another token's, or that print nothing."""
    model = model_with(llama_tokenizer())
    result = lens.LogitLens("Mary is in", " Paris")(model)
    ids = tuple(range(model.arch.d_vocab))
    typed = TypedTokens(ids)(model)
    assert [model.to_single_token(read_token(text)) for text in typed] == list(ids)
    tracked = explore.TrackedTokens("Mary is in", -1, tuple(map(read_token, typed)))(model)
    last = model.forward("Mary is in")[0, -1].double().softmax(-1)
    assert abs(tracked[-1] - last.numpy()).max() < 1e-6
    assert explore.likeliest_tokens(result, 3)[0] == result.answer_id


# ---- a bare tokenizer.model ----

spm = pytest.importorskip("sentencepiece")


@pytest.fixture(scope="module")
def sentencepiece_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sentencepiece")
    made = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter([f"{a} {b} (7, 12) fox." for a in WORDS for b in WORDS]), model_writer=made,
        vocab_size=330, model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    tiny = tiny_model("tiny-llama")
    config = type(tiny.config)(**{**tiny.config.to_dict(), "vocab_size": 330})
    type(tiny)(config).save_pretrained(folder)
    (folder / "tokenizer.model").write_bytes(made.getvalue())
    return folder


def test_a_bare_tokenizer_model_is_read_as_sentencepiece_reads_it_or_refused(sentencepiece_file, capsys):
    from transformers import LlamaTokenizer

    with pytest.raises(ModelLoadError, match="where SentencePiece reads '▁The"):
        interp.load_model(str(sentencepiece_file))
    assert run("run", "logit_lens", "--model", sentencepiece_file) == 2
    assert "tokenizer.json" in capsys.readouterr().err.replace("\n", " ")
    right = LlamaTokenizer.from_pretrained(sentencepiece_file)
    check_sentencepiece(right, "x")
    right.save_pretrained(sentencepiece_file)
    model = interp.load_model(str(sentencepiece_file))
    own = spm.SentencePieceProcessor(model_file=str(sentencepiece_file / "tokenizer.model"))
    assert model.to_tokens("The capital of France").row(0)[1:] == own.encode("The capital of France")
