"""What a logit lens shows, in words: the same in its figure, its table and its report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.figures.engine.notation import brief, probability, show_prompt

if TYPE_CHECKING:
    from interp.methods.lens.logit_lens import LogitLensResult

_TITLES = {
    "resid": "Logit lens: what would the model say after each layer?",
    "attn_out": "Logit lens: what would each layer's attention alone say?",
    "mlp_out": "Logit lens: what would each layer's MLP alone say?",
}


def title(result: LogitLensResult) -> str:
    """The question that the lens answers."""
    return _TITLES.get(result.site, f"Logit lens at {result.site}")


def asked(result: LogitLensResult) -> list[str]:
    """The prompt, the answer looked for, and what the model itself says."""
    last = result.positions[-1]
    where = f"position {last} ({brief(result.tokens[last])})"
    return [
        f"Prompt: “{show_prompt(result.tokens, bos=result.provenance.bos, max_chars=160)}”",
        f"Answer: {brief(result.answer)}, read "
        + (f"at {where}." if result.one_position else f"at all {len(result.positions)} positions.")
        + f" The model's own answer at {where}: {brief(result.final_top_token)} "
        f"({probability(result.final_top_prob)}).",
    ]


def verdict(result: LogitLensResult) -> str:
    """From which layer on the answer is on top, or that it is not."""
    answer, grid = brief(result.answer), result.grid
    layer = result.crossover_layer
    at = "" if result.one_position else f" at position {result.positions[-1]}"
    if layer is None:
        rank, prob = int(grid["answer_rank"][-1, -1]), float(grid["answer_prob"][-1, -1])
        return (
            f"No crossover: at the last layer {answer} has rank {rank}{at} (probability {probability(prob)})."
        )
    since = "the embedding" if layer < 0 else f"layer {layer}"
    return f"Crossover: from {since} on, {answer} stays on top{at}."


def crossover_row(result: LogitLensResult) -> int | None:
    """The row of the result's arrays at which the crossover happens."""
    layer = result.crossover_layer
    if layer is None:
        return None
    return layer + 1 if result.layers[0] == "embed" else layer
