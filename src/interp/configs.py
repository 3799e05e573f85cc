"""Experiment configurations as YAML files, and overrides from the command line."""

from __future__ import annotations

import json
from collections.abc import Container, Hashable
from pathlib import Path
from typing import Any

import yaml

from interp.errors import ConfigError, first_line
from interp.files import read_text

#: No configuration comes near this; a file beyond it is something else.
LARGEST = 100_000  # bytes


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice instead of keeping the last, and aliases, with which a short
    file can stand for an endless one."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise ConfigError("Aliases (*name) are not used in configurations; write the value out.")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        twice = next((key for i, key in enumerate(keys) if key in keys[:i]), None)
        if twice is not None:
            raise ConfigError(
                f"The key {twice!r} is given twice, in line {node.start_mark.line + 1} and after."
            )
        return super().construct_mapping(node, deep)


def read_config(path: Path) -> dict[str, Any]:
    """The keys and values of a YAML file; `ConfigError` where it is none."""
    try:
        text = read_text(path, largest=LARGEST, error=ConfigError)
    except FileNotFoundError:
        raise ConfigError(f"There is no configuration file {str(path)!r}.") from None
    try:
        values = yaml.load(text, Loader=_Loader)
    except RecursionError:
        raise ConfigError(f"The configuration file {str(path)!r} is nested too deeply.") from None
    except yaml.YAMLError as error:
        first = " ".join(str(error).split())
        raise ConfigError(f"The configuration file {str(path)!r} is not valid YAML: {first}.") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # of a value that YAML's own constructors fail on: no such day, too many digits, a tag that lies
        raise ConfigError(
            f"The configuration file {str(path)!r} holds a value that cannot be read ({first_line(error)}); "
            "write it in quotes."
        ) from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ConfigError(f"The configuration file {str(path)!r} must hold 'key: value' lines.")
    return values


def write_config(values: dict[str, Any]) -> str:
    """The YAML text that `read_config` reads back to the same values."""
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110)


def parse_override(text: str, *, texts: Container[str] = ()) -> tuple[str, Any]:
    """``key=value`` from the command line.

    The value is JSON where it is valid JSON (numbers, true, null, lists, quoted text), messages where it is a
    conversation in YAML (``[{role: user, content: Hello}]``), and otherwise the text as it stands, leading
    spaces included, so that ``answer= Paris`` keeps its space. For a key of
    `texts`, which may hold any text, numbers, true and false are text, too: ``answer= 7`` is the token " 7".
    """
    key, equals, raw = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"Cannot read --set {text!r}; write it as key=value.")
    try:
        value = json.loads(raw)
    except json.JSONDecodeError:
        value = _conversation(raw) or raw
    if key.strip() in texts and isinstance(value, int | float):  # true and false are integers
        value = raw
    return key.strip(), value


def _conversation(raw: str) -> list[Any] | None:
    """The messages that a text is in YAML; None where it is none."""
    if not raw.lstrip().startswith("["):
        return None
    try:
        value = yaml.load(raw, _Loader)  # a safe one
    except (yaml.YAMLError, ConfigError):
        return None
    if isinstance(value, list) and value and all(isinstance(one, dict) and "role" in one for one in value):
        return value
    return None
