"""The package: one name, one version, and what it says about installing itself."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml

import interp
from interp.errors import how_to_install

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: A package on the public index that is somebody else's.
NOT_OURS = "interp" + "-lab"


def texts() -> list[Path]:
    """Every text file of the repository, but for data and weights."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True)
    files = [ROOT / name for name in listed.stdout.splitlines()]
    return [file for file in files if file.suffix not in {".png", ".safetensors", ".gz"} and file.exists()]


def test_no_text_names_a_package_that_is_not_ours():
    found = [
        file for file in texts() if re.search(f"{NOT_OURS}|{NOT_OURS.replace('-', '_')}", file.read_text())
    ]
    assert not found


def test_nothing_tells_a_user_to_install_a_package_by_name_that_is_not_published():
    install = re.compile(r"pip install[^\n]*interp")
    found = [file for file in texts() if file != Path(__file__) and install.search(file.read_text())]
    # The one place that says how, and what it says: from a checkout.
    assert [file.name for file in found] == ["errors.py"]
    assert how_to_install("app") == "pip install '.[app]' in your checkout of interp"


def test_every_extra_that_a_message_names_is_there():
    code = "\n".join(file.read_text() for file in (ROOT / "src").rglob("*.py"))
    named = set(re.findall(r"how_to_install\(['\"](\w+)['\"]\)", code))
    assert named
    assert named <= PROJECT["optional-dependencies"].keys()


def test_one_source_of_the_version():
    assert PROJECT["dynamic"] == ["version"]
    assert "version" not in PROJECT
    assert metadata.version(PROJECT["name"]) == interp.__version__


def test_the_citation_is_of_this_package_and_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()  # what the format demands
    assert citation["authors"] == [{"name": "The interp contributors"}]
    assert citation["version"] == interp.__version__
    assert citation["license"] == PROJECT["license"]
    assert PROJECT["name"] in citation["title"]


@pytest.mark.parametrize("name", ["bug", "feature"])
def test_issue_forms_are_forms(name):
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml").read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    fields = [field for field in form["body"] if field["type"] == "textarea"]
    assert all(field["id"] and field["attributes"]["label"] for field in fields)
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_a_report_of_a_fault_comes_with_what_the_doctor_says():
    form = (ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text(encoding="utf-8")
    (field,) = (field for field in yaml.safe_load(form)["body"] if field.get("id") == "doctor")
    assert field["validations"]["required"]
    assert "interp doctor" in field["attributes"]["label"]
