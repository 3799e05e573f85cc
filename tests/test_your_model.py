"""docs/your-model.md: what its blocks come to (`test_docs.py` runs each)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hooked_toys import needs_hooked_transformers
from pages import Read, blocks


@pytest.mark.tl
def test_what_the_page_comes_to(reading: Callable[[str], Read], monkeypatch: Any) -> None:
    needs_hooked_transformers()
    page = reading("docs/your-model.md")
    monkeypatch.chdir(page.folder)
    names = page.to_the_end().names
    assert names["lens"].tokens == ("<5>", "<9>", "<33>", "<9>")
    assert names["attribution"].components[0] == "embed"
    assert "pos_embed" not in names["attribution"].components
    assert names["trace"].recovery.shape == (2, 3)
    result = json.loads((page.folder / "outputs" / "logit_lens" / "one" / "result.json").read_text())
    assert result["result"]["tokens"] == ["w5", "w9", "w33", "w9"]


def test_there_are_blocks_of_both_kinds() -> None:
    kinds = [block.kind for block in blocks("docs/your-model.md")]
    assert (kinds.count("python"), kinds.count("bash"), kinds.count("text")) == (9, 4, 1)
