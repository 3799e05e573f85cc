"""How far the backends are from each other on the demo models, as a Markdown table for docs/models.md.

python docs/agreement.py
"""

from __future__ import annotations

import torch

import interp
from interp import Edit
from interp.models.base import Cache, Model

PROMPTS = [
    "The Eiffel Tower is in the city of",
    "The capital of France is",
    "When John and Mary went to the store,",
]


def largest(a: torch.Tensor, b: torch.Tensor, lengths: tuple[int, ...]) -> float:
    """The largest absolute difference over real tokens, [batch, pos, ...]."""
    return max(float((a[i, :n] - b[i, :n]).abs().max()) for i, n in enumerate(lengths))


def cached(model: Model, edits: list[Edit]) -> Cache:
    return model.run_with_cache(PROMPTS, model.sites, edits)


def main() -> None:
    print("| model | backend | sites | logits | logits after an edit of each site |")
    print("|---|---|---|---|---|")
    for name in ("demo-gpt2", "demo-qwen3"):
        reference = interp.load_model(name)
        for backend in ("transformer_lens", "nnsight"):
            other = interp.load_model(name, backend=backend)
            ours, theirs = cached(reference, []), cached(other, [])
            lengths = ours.tokens.lengths
            # whole activations, padding included: both backends compute the same there too
            sites = max(float((ours[hook] - theirs[hook]).abs().max()) for hook in theirs)
            logits = largest(ours.logits, theirs.logits, lengths)
            edited = 0.0
            for site in other.sites:
                edit = Edit.scale(site, 2 if interp.SITES[site].per_layer else None, value=0.5, positions=-1)
                edited = max(
                    edited, largest(cached(reference, [edit]).logits, cached(other, [edit]).logits, lengths)
                )
            print(f"| {name} | {backend} | {sites:.1e} | {logits:.1e} | {edited:.1e} |")
    print()
    print("The last residual stream against float64 (largest difference; largest entry):")
    for name in ("demo-gpt2", "demo-qwen3"):
        last = [("resid_post", interp.load_model(name).arch.n_layers - 1)]
        exact = interp.load_model(name, dtype="float64").run_with_cache(PROMPTS, last)
        for backend in ("transformers", "transformer_lens", "nnsight"):
            run = interp.load_model(name, backend=backend).run_with_cache(PROMPTS, last)
            difference = float((run[last[0]] - exact[last[0]]).abs().max())
            print(f"- {name}, {backend}: {difference:.1e} of {float(exact[last[0]].abs().max()):.0f}")


if __name__ == "__main__":
    main()
