"""The doors let threads wait asleep, before torch reads how they shall; what the user has set stays."""

import os
import subprocess
import sys

import pytest

from conftest import run


@pytest.mark.parametrize(("given", "found"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_the_command_line_lets_threads_sleep(monkeypatch, capsys, given, found):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if given:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    run("--version")
    assert os.environ["OMP_WAIT_POLICY"] == found
    monkeypatch.delenv("OMP_WAIT_POLICY")


def test_the_app_s_server_says_so_before_torch_is_there():
    pytest.importorskip("streamlit")
    program = "import sys, interp.app.server.__main__; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
