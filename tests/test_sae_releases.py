"""Published dictionaries by name: where on the hub each one is, and what is said of one that is not here."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

import interp
from interp.cli import main
from interp.errors import InputError
from interp.saes.neuronpedia import neuronpedia_id
from interp.saes.releases import CENTRED, RELEASES, hub_place
from test_saes import make

#: Names and places of SAELens's own list, one of each release, and EleutherAI's, as its cards have them.
PLACES = {
    "gpt2-small-res-jb/blocks.8.hook_resid_pre":
        "jbloom/GPT2-Small-SAEs-Reformatted:blocks.8.hook_resid_pre",
    "gpt2-small-res-jb/blocks.11.hook_resid_post":
        "jbloom/GPT2-Small-SAEs-Reformatted:blocks.11.hook_resid_post",
    "gpt2-small-resid-post-v5-32k/blocks.3.hook_resid_post":
        "jbloom/GPT2-Small-OAI-v5-32k-resid-post-SAEs:v5_32k_layer_3.pt",
    "gpt2-small-mlp-out-v5-128k/blocks.3.hook_mlp_out":
        "jbloom/GPT2-Small-OAI-v5-128k-mlp-out-SAEs:v5_128k_layer_3",
    "gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82":
        "google/gemma-scope-2b-pt-res:layer_12/width_16k/average_l0_82",
    "gemma-scope-9b-it-res/layer_20/width_131k/average_l0_13":
        "google/gemma-scope-9b-it-res:layer_20/width_131k/average_l0_13",
    "gemma-scope-2b-pt-res/embedding/width_4k/average_l0_6":
        "google/gemma-scope-2b-pt-res:embedding/width_4k/average_l0_6",
    "gemma-scope-2-270m-pt-res/layer_12_width_16k_l0_small":
        "google/gemma-scope-2-270m-pt:resid_post/layer_12_width_16k_l0_small",
    "gemma-scope-2-1b-it-att-all/layer_0_width_262k_l0_big":
        "google/gemma-scope-2-1b-it:attn_out_all/layer_0_width_262k_l0_big",
    "gemma-scope-2-270m-pt-transcoders-all/layer_{layer}_width_16k_l0_small_affine":
        "google/gemma-scope-2-270m-pt:transcoder_all/layer_{layer}_width_16k_l0_small_affine",
    "sae-llama-3-8b-32x/layers.10":
        "EleutherAI/sae-llama-3-8b-32x:layers.10",
}  # fmt: skip


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty local cache of the hub, without a network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def in_cache(cache: Path, repo: str, folder: str) -> Path:
    """The folder of a repository in the cache, as if it had been fetched."""
    place = cache / f"models--{repo.replace('/', '--')}"
    (place / "refs").mkdir(parents=True, exist_ok=True)
    (place / "refs" / "main").write_text("a" * 40)
    return place / "snapshots" / ("a" * 40) / folder


@pytest.mark.parametrize(("name", "place"), PLACES.items())
def test_a_name_is_a_place_on_the_hub(name, place):
    assert hub_place(name) == place
    assert [one.name_of(place) for one in RELEASES if one.name_of(place)] == [name]


def test_each_release_has_an_example_of_its_own():
    for one in RELEASES:
        assert one.place_of(one.example), one.example
        assert one.example.partition("/")[0] in one.releases
        assert len([other for other in RELEASES if other.place_of(one.example)]) == 1, one.example
    assert {
        "jbloom/GPT2-Small-SAEs-Reformatted",
        "jbloom/GPT2-Small-Feature-Splitting-Experiment-Layer-8",
    } == CENTRED


def test_a_dictionary_in_the_cache_is_loaded_by_its_name(load, cache):
    model = load("demo-gpt2")
    sae = make(model)
    folder = in_cache(cache, "jbloom/GPT2-Small-SAEs-Reformatted", "blocks.1.hook_resid_post")
    interp.write_sae(in_cache(cache, "jbloom/GPT2-Small-SAEs-Reformatted", "blocks.1.hook_resid_pre"), sae)
    found = interp.load_sae("gpt2-small-res-jb/blocks.1.hook_resid_pre", model)
    assert found.centred, "which its folder does not record"
    assert (found.W_enc == sae.W_enc).all()
    with pytest.raises(InputError, match=r"HF_HUB_OFFLINE is set.*local cache has 'blocks.1.hook_resid_pre'"):
        interp.load_sae("gpt2-small-res-jb/blocks.2.hook_resid_pre", model)
    assert not folder.exists()


def test_a_folder_of_that_name_comes_first(load, tmp_path, monkeypatch):
    model = load("demo-gpt2")
    name = "gpt2-small-res-jb/blocks.1.hook_resid_pre"
    interp.write_sae(tmp_path / name, make(model))
    monkeypatch.chdir(tmp_path)
    assert not interp.load_sae(name, model).centred


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gemma-scope-2b-pt-rez/layer_1/width_16k/average_l0_10", r"mean 'gemma-scope-2b-pt-res'\?.*saes`"),
        ("gemma-scope-2b-pt-res/layer_1", r"no id 'layer_1': its ids are like 'layer_<layer>/width_<width>"),
        ("gemma-scope-2b-pt-res", r"is a release; name one of its dictionaries"),
        ("gemma-scope-2b-pt-res/layer_1/width_16k/average_l0_10", r"could not give 'google/gemma-scope"),
        ("gemma-scope-2b-pt-res-canonical/layer_1/width_16k/canonical", r"to 100 must be asked of the hub"),
        ("nothing alike/at/all", r"give a folder, a published name"),
    ],
)  # fmt: skip
def test_what_is_said_of_a_name_that_is_not_here(load, cache, name, said):
    with pytest.raises(InputError, match=said):
        interp.load_sae(name, load("demo-gpt2"))


def test_canonical_is_the_one_whose_l0_is_closest_to_100(load, cache, monkeypatch):
    class Entry:
        def __init__(self, path: str) -> None:
            self.path = path

    above = "layer_1/width_16k"
    paths = [f"{above}/average_l0_{l0}" for l0 in (10, 79, 122, 205)] + [f"{above}/README.md"]
    monkeypatch.setattr(
        huggingface_hub.HfApi, "list_repo_tree", lambda *_, **asked: [Entry(p) for p in paths]
    )
    model = load("demo-gpt2")
    sae = make(model)
    interp.write_sae(in_cache(cache, "google/gemma-scope-2b-pt-res", f"{above}/average_l0_79"), sae)
    found = interp.load_sae("gemma-scope-2b-pt-res-canonical/layer_1/width_16k/canonical", model)
    assert (found.W_enc == sae.W_enc).all()


def test_a_published_name_has_its_page_at_neuronpedia(load, tmp_path):
    from dataclasses import replace

    from interp.sites import Address

    sae = replace(make(load("demo-gpt2")), address=Address("resid_pre", 8))
    name = "gpt2-small-res-jb/blocks.8.hook_resid_pre"
    assert neuronpedia_id(sae.identity, name, folder=tmp_path) == "gpt2-small/8-res-jb"


def test_the_command_lists_releases_and_what_is_here(cache, load, capsys):
    interp.write_sae(
        in_cache(cache, "jbloom/GPT2-Small-SAEs-Reformatted", "blocks.1.hook_resid_pre"),
        make(load("demo-gpt2")),
    )
    main(["saes"])
    said = capsys.readouterr().out
    assert "gemma-scope-2-" in said
    assert "EleutherAI" in said
    assert "gpt2-small-res-jb/blocks.1.hook_resid_pre" in said
    main(["saes", "gpt2-small-mlp-out-v5-32k"])
    said = capsys.readouterr().out
    assert "None is here" in said
    assert "gemma-scope" not in said
    assert "gpt2-small-mlp-out-v5-32k/blocks.<layer>.hook_mlp_out" in said
    with pytest.raises(SystemExit):
        main(["saes", "gemma-scope-2b-pt-rez"])
    assert "did you mean 'gemma-scope-2b-pt-res'" in capsys.readouterr().err
