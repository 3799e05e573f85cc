"""Names of a model's parts print as they parse; what is no name, or names nothing, is said in a sentence."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from interp.errors import InputError
from interp.methods.common.heads import HEADS, find_heads
from interp.methods.common.names import (
    COMPONENTS,
    NODES,
    Component,
    Vocabulary,
    check_exists,
    parse,
    parse_edge,
    parse_set,
    set_name,
)

SIZES = SimpleNamespace(n_layers=6, n_heads=4, n_kv_heads=2, d_mlp=8)


@pytest.mark.parametrize(
    "text", ["a5.h1", "a5", "m3", "m3.n17", "l2", "input", "input@S1+1", "a5.h1@-1", "m3@END"]
)
def test_components_print_as_they_parse(text: str) -> None:
    assert str(parse(text, COMPONENTS)) == text


@pytest.mark.parametrize("text", ["a5.h1", "m3", "a3.h1<q>", "a0.h0<k>", "input", "logits"])
def test_nodes_print_as_they_parse(text: str) -> None:
    assert str(parse(text, NODES)) == text


def test_what_a_name_means() -> None:
    assert (
        parse("9.10", COMPONENTS)
        == parse(" a9.h10 ", COMPONENTS)
        == Component(kind="head", layer=9, index=10)
    )
    assert parse("m3.n7@-1", COMPONENTS) == Component(kind="neuron", layer=3, index=7, where=-1)
    assert parse("a3.h1<v>", NODES) == Component(kind="head", layer=3, index=1, reads="v")
    assert parse("l2", COMPONENTS).sites == (("attn_out", 2), ("mlp_out", 2))


@pytest.mark.parametrize("text", ["a0.h1->a3.h1<q>", "input->m3", "m2->logits"])
def test_edges_print_as_they_parse(text: str) -> None:
    assert str(parse_edge(text)) == text


@pytest.mark.parametrize("text", ["a5.h1 + m3", "nothing", "input@S1+1 + m3"])
def test_sets_print_as_they_parse(text: str) -> None:
    assert set_name(parse_set(text)) == text


@pytest.mark.parametrize(
    ("text", "vocabulary", "sentence"),
    [
        ("a5h1", HEADS, "'a5h1' is no head; did you mean 'a5.h1'?"),
        ("m4.7", COMPONENTS, "did you mean 'm4.n7'?"),
        ("mlp3", COMPONENTS, "did you mean 'm3'?"),
        ("l2", NODES, "'l2' is no node; "),
        ("m3<q>", NODES, "is no node"),
        ("a3.h1<q>", COMPONENTS, "is no component"),
        ("a3.h1@END", NODES, "is no node"),
        ("a0.h1@", COMPONENTS, "is no component"),
        ("a0.h99999999999", COMPONENTS, "is no component"),
        ("?", HEADS, "write 'a5.h1' (a head)."),
        (3, COMPONENTS, "write 'a5.h1' (a head), 'a5' (an attention layer), "),
    ],
)
def test_what_is_no_name(text: str, vocabulary: Vocabulary, sentence: str) -> None:
    with pytest.raises(InputError) as raised:
        parse(text, vocabulary)
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a0.h1", "write one as in 'a0.h1->a3.h1<q>'"),
        ("a0.h1->input", "input reads nothing"),
        ("a0.h1->a3.h1", "a3.h1 reads a3.h1<q>, <k> and <v> apart"),
        ("a0.h1<q>->m3", "is no sender"),
    ],
)
def test_what_is_no_edge(text: str, sentence: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_edge(text)
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a6.h1", "no a6.h1; this model has 6 layers of 4 heads, counted from 0; the nearest is a5.h1."),
        ("a0.h4<q>", "the nearest is a0.h3<q>"),
        ("a0.h3<k>", "6 layers of 2 heads"),
        ("m1.n8@END", "of 8 neurons, counted from 0; the nearest is m1.n7@END."),
        ("l6", "this model has 6 layers, counted from 0; the nearest is l5."),
    ],
)
def test_what_a_model_lacks(text: str, sentence: str) -> None:
    every = Vocabulary(called="part", kinds=(*COMPONENTS.kinds, "logits"), reads=True, where=True)
    with pytest.raises(InputError) as raised:
        check_exists(parse(text, every), SIZES)
    assert sentence in str(raised.value)
    with pytest.raises(InputError, match=r"There is no head 5\.7;"):
        find_heads(SIZES, [(5, 7)])


def test_a_model_without_neurons_has_no_nearest_one() -> None:
    mixture = SimpleNamespace(n_layers=6, n_heads=4, n_kv_heads=2, d_mlp=None)
    with pytest.raises(InputError, match=r"of 0 neurons, counted from 0\.$"):
        check_exists(parse("m1.n0", COMPONENTS), mixture)


def test_names_are_light() -> None:
    program = "import sys, interp.methods.common.heads; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
