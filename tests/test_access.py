"""What a link or an input of the app may open: ordinary files in the folders given, asked about first."""

import json
import os
from pathlib import Path

import pytest

from conftest import run
from interp.app.server import access, launch
from interp.app.server.access import Permissions, check_source, folders_of
from interp.errors import InputError, ModelLoadError
from interp.models.sizes import check_sizes, least_parameters, read_sizes


@pytest.fixture
def given(tmp_path, monkeypatch) -> Path:
    """The folder that the app may read."""
    folder = tmp_path / "given"
    folder.mkdir()
    monkeypatch.setenv("INTERP_APP_FILES", str(folder))
    return folder


@pytest.mark.parametrize(
    "name", ["demo-gpt2", "gpt2", "nobody/nothing", "org/repo:a.b/c", "hf:org/name", "demo"]
)
def test_names_and_ids_are_no_paths(given, name):
    check_source(name)


def test_what_lies_in_the_given_folder_is_read(given, monkeypatch):
    (given / "text.txt").write_text("text")
    (given / "model").mkdir()
    (given / "model" / "config.json").write_text("{}")
    for source in (given / "text.txt", given / "model", given / "new.txt"):
        check_source(str(source))
    monkeypatch.chdir(given)
    for source in ("text.txt", "model", "./model", "model/../text.txt"):
        check_source(source)


def test_nothing_outside_is_read_nor_told_of(given, monkeypatch):
    (given / "link").symlink_to("/etc")
    (given.parent / "other.txt").write_text("")
    monkeypatch.chdir(given)
    outside = ["/etc/passwd", "/etc/no-such", "~/.ssh", "../other.txt", "link/passwd", "/dev/zero"]
    for source in (*outside, f"{given}/../other.txt", str(given.parent)):
        with pytest.raises(InputError, match="lies outside the folders that the app may read"):
            check_source(source)
    with pytest.raises(InputError, match="no path"):
        check_source("/a\0b")


def test_the_folders_of_layers_are_checked_as_one_is(given, monkeypatch):
    outside = given.parent / "elsewhere"
    for place in (given / "own" / "layer_0", outside / "own" / "layer_0"):
        place.mkdir(parents=True)
    monkeypatch.chdir(given)
    check_source("own/layer_{layer}")
    check_source("org/repo:folder/layer_{layer}_width_16k")
    for source in ("own/layer_{layer}/../../../elsewhere", f"{outside}/own/layer_{{layer}}"):
        with pytest.raises(InputError, match="lies outside"):
            check_source(source)
    monkeypatch.chdir(outside)
    with pytest.raises(InputError, match="lies outside"):
        check_source("own/layer_{layer}")


def test_pipes_and_large_files_are_refused(given, monkeypatch):
    os.mkfifo(given / "pipe")
    (given / "model").mkdir()
    os.mkfifo(given / "model" / "config.json")
    (given / "zero").symlink_to("/dev/zero")
    for name, why in (("pipe", "pipe or a device"), ("model", "pipe or a device"), ("zero", "outside")):
        with pytest.raises(InputError, match=why):
            check_source(str(given / name))
    with (given / "large.txt").open("wb") as file:
        file.truncate(int(access.LARGEST_TEXT) + 1)
    with pytest.raises(InputError, match="too large"):
        check_source(str(given / "large.txt"))
    (given / "large.txt").rename(given / "large.gguf")
    check_source(str(given / "large.gguf"))
    monkeypatch.setattr(access, "MOST_FILES", 3)
    (given / "many").mkdir()
    for number in range(4):
        (given / "many" / str(number)).touch()
    with pytest.raises(InputError, match="over 3 files"):
        check_source(str(given / "many"))


def sparse(path: Path, size: float) -> None:
    """A file of so many bytes that takes no room on the disk."""
    with path.open("wb") as file:
        file.truncate(int(size))


@pytest.mark.parametrize("ending", ["bin", "safetensors", "pt", "gguf", "npz", "txt"])
def test_what_is_read_whole_is_small_whatever_it_is_called(given, ending):
    file = given / f"large.{ending}"
    sparse(file, access.LARGEST_TEXT + 1)
    for what in ("text", "file of directions"):
        with pytest.raises(InputError, match="too large"):
            check_source(str(file), what)


def test_weights_must_fit_into_what_is_free_of_memory(given, monkeypatch):
    monkeypatch.setattr("interp.models.devices.free_bytes", lambda device: 2e9)
    for name in ("sae", "layers/layer_0", "layers/layer_1"):
        (given / name).mkdir(parents=True)
    (given / "layers" / "config.json").touch()
    sparse(given / "sae" / "params.npz", 4e8)  # of SAEs that are published so: more than a text may have
    check_source(str(given / "sae"), "SAE")
    for layer in range(2):
        sparse(given / "layers" / f"layer_{layer}" / "weights.safetensors", 4e8)
    for source in ("layers", "layers/layer_{layer}"):
        with pytest.raises(InputError, match="memory are not free"):
            check_source(str(given / source), "set of transcoders")
    check_source(str(given / "layers"))  # of a model, the model server says it, after unloading others


def test_folders_in_a_folder_are_checked_too(given):
    for name in ("layer_0", ".git"):
        (given / "saes" / name).mkdir(parents=True)
    os.mkfifo(given / "saes" / ".git" / "pipe")  # nothing that is read
    sparse(given / "saes" / "tf_model.h5", access.LARGEST_PART + 1)
    check_source(str(given / "saes"), "SAE")
    os.mkfifo(given / "saes" / "layer_0" / "cfg.json")
    with pytest.raises(InputError, match="pipe or a device"):
        check_source(str(given / "saes"), "SAE")


def test_a_folder_that_may_not_be_read_is_a_sentence(given, monkeypatch):
    def locked(folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    (given / "locked").mkdir()
    monkeypatch.setattr(Path, "iterdir", locked)
    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\)"):
        check_source(str(given / "locked"), "SAE")


def test_what_the_server_was_started_with_is_read(given, monkeypatch, tiny_gpt2):
    with pytest.raises(InputError, match="outside"):
        check_source(str(tiny_gpt2))
    assert not Permissions().are_given(str(tiny_gpt2))
    monkeypatch.setenv("INTERP_APP_MODEL", str(tiny_gpt2))
    check_source(str(tiny_gpt2))
    assert Permissions().are_given(str(tiny_gpt2))


@pytest.mark.parametrize("installed", [True, False])
def test_the_real_model_is_asked_about_where_it_would_be_fetched(monkeypatch, installed):
    monkeypatch.setattr(access, "is_installed", lambda model: installed)
    assert Permissions().are_given("gemma-3-270m") == installed
    assert not Permissions().are_given("gpt2")


def test_folders_are_given_by_the_command_line(given, monkeypatch, capsys):
    started = {}
    monkeypatch.setattr(launch, "server_command", lambda port, browser: ["server"])
    monkeypatch.setattr(launch.os, "execve", lambda path, command, environment: started.update(environment))
    monkeypatch.setattr(launch.subprocess, "call", lambda command, env: 0)  # execve does not come back
    assert run("app", "--files", given, "--files", given.parent) == 0
    folders = [str(given.resolve()), str(given.parent.resolve())]
    assert started["INTERP_APP_FILES"].split(os.pathsep) == folders
    with pytest.raises(InputError, match="--files"):
        folders_of([given / "none"])


# ---- sizes ----


def model_folder(folder: Path, weights: int = 10_000, **config: object) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(b"\0" * weights)
    return folder


def test_sizes_are_read_under_every_name(tmp_path):
    sizes = read_sizes(model_folder(tmp_path, n_layer=2, n_embd=8, vocab_size=100, n_inner=None))
    assert sizes == {"layers": 2, "tokens in the vocabulary": 100, "numbers in the residual stream": 8}
    assert least_parameters(sizes) == 8 * (100 + 2 * 8)
    nested = read_sizes(model_folder(tmp_path, text_config={"num_hidden_layers": 3}))
    assert nested == {"layers": 3}


@pytest.mark.parametrize(
    "config",
    [
        *({"n_layer": 10**9}, {"vocab_size": 10**12}, {"hidden_size": 10**30}, {"num_attention_heads": -1}),
        *({"n_positions": 10**12}, {"text_config": {"num_hidden_layers": 10**9}}),
    ],
)
def test_absurd_sizes_are_refused(tmp_path, config):
    with pytest.raises(ModelLoadError, match="no model has more"):
        check_sizes(model_folder(tmp_path, **config))


def test_a_configuration_without_its_weights_is_refused(tmp_path):
    large = {"n_layer": 48, "n_embd": 1600, "vocab_size": 50257}
    with pytest.raises(ModelLoadError, match=r"of 2e[+]08 parameters or more"):
        check_sizes(model_folder(tmp_path, **large))
    check_sizes(model_folder(tmp_path, weights=20_000_000, **large))


@pytest.mark.parametrize("text", ["[" * 100_000, "[1]", "{", '{"n_layer": ' + "9" * 5000 + "}"])
def test_a_configuration_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModelLoadError, match="configuration"):
        read_sizes(tmp_path)


# ---- the page asks ----


@pytest.fixture
def asked(monkeypatch, tiny_gpt2) -> str:
    """A model in a folder that may be read, which nobody has asked for."""
    monkeypatch.setattr("interp.app.ui.permission.permissions", lambda given=Permissions(): given)  # noqa: B008
    monkeypatch.setenv("INTERP_APP_FILES", str(tiny_gpt2))
    return str(tiny_gpt2)


def test_what_a_link_names_is_asked_about_first(asked, open_page):
    page = open_page("Explore", model=asked, prompt="a b").run()
    assert "asks for the model" in page.warning[0].value
    assert not page.get("bidi_component")[1:]  # no grid: only the app's own script
    page.button(key="permit-model").click().run()
    assert not page.warning
    assert not page.exception


def test_a_link_to_a_text_or_an_sae_is_asked_about(asked, open_page):
    page = open_page("Features", text="hf:nobody/nothing").run()
    assert "asks for the text 'hf:nobody/nothing'" in page.warning[0].value.replace("\\", "")
    page = open_page("Features", sae="nobody/nothing").run()
    assert "asks for the SAE 'nobody/nothing'" in page.warning[0].value.replace("\\", "")
    page = open_page("Features", text="/dev/zero").run()
    assert "lies outside" in page.error[0].value
    sparse(Path(asked) / "large.bin", access.LARGEST_TEXT + 1)
    page = open_page("Features", text=str(Path(asked) / "large.bin")).run()
    (Path(asked) / "large.bin").unlink()
    assert "too large" in page.error[0].value
    assert not page.warning


def test_what_is_typed_is_opened(asked, open_page):
    page = open_page("Features").run()
    page.text_input(key="sae").set_value("nobody").run()
    assert not page.warning
    assert "There is no SAE 'nobody'" in page.error[0].value.replace("\\", "")
