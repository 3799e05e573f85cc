"""The door opens at once: importing the package and asking for help load nothing heavy."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "program",
    [
        "import interp",
        "import interp.sites, interp.configs, interp.errors",
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
    heavy = "import sys; print('heavy:', sorted({'torch', 'transformers', 'matplotlib'} & set(sys.modules)))"
    command = [sys.executable, "-c", f"{program}\n{heavy}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_every_public_name_is_there():
    import interp

    for name in interp.__all__:
        assert getattr(interp, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = interp.nothing
