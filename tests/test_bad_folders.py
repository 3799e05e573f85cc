"""The page Runs with folders that hold anything: what is wrong with one is said, and the others are there."""

import json
import os
import shutil
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import pytest

from conftest import run
from interp.app.markdown import escape_markdown
from interp.app.views import runs
from interp.configs import read_config
from interp.errors import ConfigError, InputError, RunError
from interp.files import read_text
from interp.results import decoded

NAME = "logit_lens/bad"


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("outputs")
    assert run("run", "logit_lens", "--tag", "good", "--out", out) == 0
    return out


@pytest.fixture
def out(good, tmp_path) -> Path:
    """A good run, and a copy of it that is to be damaged."""
    out = Path(shutil.copytree(good, tmp_path / "outputs"))
    shutil.copytree(out / "logit_lens" / "good", out / "logit_lens" / "bad")
    return out


def pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def sparse(path: Path, size: float) -> None:
    with path.open("wb") as file:
        file.truncate(int(size))


def png(width: int, height: int) -> bytes:
    """A picture that says it has so many pixels, and has none."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


# ---- files ----


def test_only_files_of_a_size_are_read(tmp_path):
    file = tmp_path / "file"
    file.write_text("ä" * 5)
    assert read_text(file, largest=10, error=InputError) == "ä" * 5
    with pytest.raises(InputError, match="too large"):
        read_text(file, largest=9, error=InputError)
    pipe(tmp_path / "pipe")
    for path, why in ((tmp_path / "pipe", "pipe or a device"), (Path("/dev/zero"), "pipe or a device")):
        with pytest.raises(InputError, match=why):
            read_text(path, largest=10, error=InputError)
    with pytest.raises(InputError, match="is a folder"):
        read_text(tmp_path, largest=10, error=InputError)
    with pytest.raises(InputError, match="cannot be read"):
        read_text(Path("a\0b"), largest=10, error=InputError)
    file.write_bytes(b"\xff")
    with pytest.raises(InputError, match="cannot be read"):
        read_text(file, largest=10, error=InputError)
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "none", largest=10, error=InputError)


@pytest.mark.parametrize(
    "text",
    [
        *("model: 2024-99-99", f"model: {'9' * 5000}", "model: !!int x", "model: !!timestamp x"),
        *("model: !!bool x", f"model: {'[' * 50_000}", "? [a]\n: b", "model: \x00"),
    ],
)
def test_a_value_that_yaml_fails_on_is_a_sentence(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config(tmp_path / "config.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["U1000000", "O", "S999999", "M8[D]"])
def test_an_array_of_no_numbers_is_refused(dtype):
    with pytest.raises(ValueError, match="no numbers"):
        decoded({"dtype": dtype, "shape": [1], "values": [""]})


def test_text_that_is_no_unicode_is_shown_as_escapes():
    assert escape_markdown("\udcff a").encode() == b"\\\\udcff a"


# ---- the page ----


def damage_name(out: Path) -> None:
    for name in (b"\xff\xfe", b"line\nbreak", b"\xe2\x80\xaeabc", b"\x1b[2J"):
        os.mkdir(os.fsencode(out / "logit_lens") + b"/" + name)
        os.mkdir(os.fsencode(out) + b"/" + name)


def damage_config(text: str):
    return lambda out: (out / NAME / "config.yaml").write_text(text)


def damage_result(text: str):
    return lambda out: (out / NAME / "result.json").write_text(text)


def change_result(**values):
    def change(out: Path) -> None:
        file = out / NAME / "result.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | values))

    return change


def damage_picture(content: bytes):
    return lambda out: (out / NAME / "logit_lens.png").write_bytes(content)


def damage_files(out: Path) -> None:
    pipe(out / NAME / "logit_lens.png")
    pipe(out / NAME / "report.html")
    (out / NAME / "link").symlink_to("/etc/passwd")
    (out / NAME / "a\nb").write_text("")
    Path(os.fsdecode(os.fsencode(out / NAME) + b"/\xff")).write_text("")
    sparse(out / NAME / "large", 1e12)


DAMAGE = {
    "names": damage_name,
    "no day": damage_config("model: 2024-99-99"),
    "a day": damage_config("model: 2024-01-02\n2024-01-02: x"),
    "giant integer": damage_config(f"model: {'9' * 5000}"),
    "half a pair": damage_config('model: "\\ud800"'),
    "config is a pipe": lambda out: pipe(out / NAME / "config.yaml"),
    "result is a pipe": lambda out: pipe(out / NAME / "result.json"),
    "200 MB": lambda out: sparse(out / NAME / "result.json", 200e6),
    "deep": damage_result("[" * 100_000),
    "giant number": damage_result('{"format": ' + "9" * 5000 + "}"),
    "no UTF-8": lambda out: (out / NAME / "result.json").write_bytes(b"\xff"),
    "no mapping": damage_result("[1]"),
    "list for a format": change_result(format=[2]),
    "hostile config": change_result(config={"\ud800": "\ud800<script>", "a": {"b": [[[]]]}, "": None}),
    "no picture": damage_picture(b"no picture"),
    "cut picture": damage_picture(png(10, 10)),
    "bomb": damage_picture(png(60_000, 60_000)),
    "odd files": damage_files,
}


def made_or_refused(make):
    """What is made; None where that is refused."""
    made = None
    with suppress(RunError):
        made = make()
    return made


@pytest.mark.parametrize("kind", DAMAGE)
def test_one_bad_folder_takes_nothing_down(out, kind):
    """What is listed, and what each part of the page shows, is text or a sentence that says what is wrong."""
    DAMAGE[kind](out)
    found = runs.find_runs(out)
    assert {run.name for run in found} == {"logit_lens/good", NAME}
    for one in found:
        one.title.encode()
    assert runs.report(runs.open_run(out, found, "logit_lens/good"))
    opened = made_or_refused(lambda: runs.open_run(out, found, NAME))
    if opened is None:
        return
    assert [path.name for path in runs.files(opened) if path.is_file()]
    for path in runs.files(opened):
        path.name.encode()
        assert path.stat().st_size < 1e9
    for table in (runs.config_table(opened), runs.provenance_table(opened)):
        json.dumps(table.texts, ensure_ascii=False).encode()
    made_or_refused(lambda: runs.figure(opened))


@pytest.mark.parametrize("kind", ["bomb", "cut picture", "no picture"])
def test_a_picture_that_is_none_is_refused(out, kind):
    DAMAGE[kind](out)
    with pytest.raises(RunError, match="damaged"):
        runs.figure(runs.open_run(out, runs.find_runs(out), NAME))


@pytest.mark.parametrize("kind", DAMAGE)
def test_the_page_runs_with_a_bad_folder(out, open_page, monkeypatch, kind):
    """As Streamlit runs it: the page is whole, and no fault of the program is shown."""
    DAMAGE[kind](out)
    monkeypatch.setenv("INTERP_OUTPUTS", str(out))
    page = open_page("Runs", run=NAME).run()
    assert not page.exception
    assert any("2 runs" in caption.value for caption in page.main.caption)
    assert not [error.value for error in page.error if "fault of the program" in error.value]
