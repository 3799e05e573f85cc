"""The door opens at once: importing the package and asking for help load nothing heavy."""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = "import sys; print('heavy:', sorted({'torch', 'transformers', 'matplotlib'} & set(sys.modules)))"
#: A stored run of each experiment.
STORED = sorted((Path(__file__).parent / "format_1").glob("*.json.gz"))


@pytest.mark.parametrize(
    "program",
    [
        "import interp",
        "import interp.sites, interp.configs, interp.errors, interp.doctor",
        "from interp.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
        "from interp.cli import main\ntry: main(['run', '--help'])\nexcept SystemExit: pass",
        "from interp.cli import main\nmain(['experiments'])",
        "import pkgutil, importlib, interp.figures.views as views\n"
        "for one in pkgutil.iter_modules(views.__path__):\n"
        "    importlib.import_module(f'{views.__name__}.{one.name}')",
        "import io, rich.console, interp.figures.engine.view as v\n"
        "from interp.figures.engine.view_terminal import renderable\n"
        "blocks = (v.Lines((v.Series('a', (1.0,), (2.0,)),), 'x', 'y'), v.Table(('a',), (('b',),)))\n"
        "view = v.View(title='t', above=(), blocks=blocks)\n"
        "rich.console.Console(file=io.StringIO()).print(renderable(view))",
    ],
)
def test_loads_neither_torch_nor_transformers(program):
    command = [sys.executable, "-c", f"{program}\n{HEAVY}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.name.split(".")[0])
def test_a_run_is_shown_without_torch_and_transformers(path, tmp_path):
    (tmp_path / "result.json").write_bytes(gzip.decompress(path.read_bytes()))
    program = f"from interp.cli import main\nmain(['show', {str(tmp_path)!r}])"
    command = [sys.executable, "-c", f"{program}\n{HEAVY}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_every_public_name_is_there():
    import interp

    for name in interp.__all__:
        assert getattr(interp, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = interp.nothing
