"""Where heads look: their attention patterns on a prompt.

When it misleads: a head may look at a place and read nothing there that matters, and what it reads may have
been brought there from elsewhere. Attention to the first position is often a resting place. What a head does
with what it sees is shown by its values, and by patching or ablating it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from interp.methods.common.heads import find_heads
from interp.methods.heads.results import AttentionPatternsResult
from interp.models.base import Model
from interp.provenance import Provenance
from interp.tokens import Prompt


def attention_patterns(
    model: Model, prompt: Prompt, *, heads: Sequence[str | Sequence[int]] | None = None, seed: int = 0
) -> AttentionPatternsResult:
    """The attention patterns of `heads`, such as ``["5.1"]`` or ``[(5, 1)]``, or of all of them.

    `seed` is recorded only; nothing is drawn. Raises `SiteError` where the backend does not reach the
    pattern, `InputError` for heads that are not there.
    """
    chosen = find_heads(model.arch, heads)
    tokens = model.to_tokens(prompt).repeat(1)
    layers = sorted({layer for layer, _ in chosen})
    cache = model.run_with_cache(tokens, [("pattern", layer) for layer in layers], logits=False)
    patterns = [cache["pattern", layer][0, head] for layer, head in chosen]
    return AttentionPatternsResult(
        provenance=Provenance.of(model, seed=seed),
        tokens=tuple(model.labels(tokens.row(0))),
        prompt=model.to_text(tokens.row(0)),
        heads=chosen,
        sinks=model.arch.attention_sinks,
        patterns=torch.stack(patterns).float().cpu().numpy(),
    )
