"""Agreement with published implementations: the same question to them and to this library, value by value.

    python bench/published.py [--eap-ig FOLDER] [--write]

demo-gpt2 in float64, so that what differs is a definition and not rounding; two pairs of prompts; logit
difference. TransformerLens is its HookedTransformer with the same weights. EAP-IG (github.com/hannamw/EAP-IG)
is not the package index's `eap`: FOLDER is where its package lies, the `src` of a checkout. It then runs on
the same HookedTransformer, for minutes. Without FOLDER, its table stays as it is.

Both libraries get token ids past their tokenizers. EAP-IG's scores go to the CPU where it says "cuda".
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from tables import put
from torch.overrides import TorchFunctionMode
from transformer_lens import HookedTransformer, HookedTransformerConfig, patching
from transformer_lens.head_detector import detect_head, get_previous_token_head_detection_pattern
from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights

import interp
from interp import Circuit, Edit, Model, Pair, PairDataset, Readout
from interp.methods.circuits.circuit_discovery import greedy
from interp.methods.circuits.runs import circuit_values
from interp.methods.common.graph import Graph
from interp.tasks.base import encode_pair
from interp.tasks.repeated_tokens import repeated_sequences

NAMES = "When John and Mary went to the store, {} gave a drink to"
PROMPTS: list[dict[str, Any]] = [
    {
        "clean": NAMES.format("John"),
        "corrupted": NAMES.format("Mary"),
        "answer": " Mary",
        "foil": " John",
    },
    {
        "clean": "The capital of France is",
        "corrupted": "The capital of Japan is",
        "answer": " Paris",
        "foil": " Tokyo",
    },
]
N_SEQUENCES, LENGTH = 4, 25  # of the repeated tokens for head scores
STEPS = 5  # of integrated gradients
EDGE_SCORES: dict[Any, str] = {  # here, and in EAP-IG's attribute.py
    "eap": "get_scores_eap",
    "exact": "get_scores_exact",
    "eap-ig-inputs": "get_scores_eap_ig",
    "eap-ig-activations": "get_scores_ig_activations",
}
SIZES = (20, 100, 500, 1500)  # of the circuits
INPUT = ("hook_embed", "blocks.0.hook_resid_pre")  # what EAP-IG calls the input, and what it is here

#: A function of `transformer_lens.patching`, and the arguments of `interp.activation_patching` that ask the
#: same.
PATCHING: dict[str, dict[str, Any]] = {
    "get_act_patch_resid_pre": {"site": "resid_pre"},
    "get_act_patch_resid_mid": {"site": "resid_mid"},
    "get_act_patch_attn_out": {"site": "attn_out"},
    "get_act_patch_mlp_out": {"site": "mlp_out"},
    "get_act_patch_attn_head_out_all_pos": {"site": "z", "by": "head"},
    "get_act_patch_attn_head_q_all_pos": {"site": "q", "by": "head"},
    "get_act_patch_attn_head_k_all_pos": {"site": "k", "by": "head"},
    "get_act_patch_attn_head_v_all_pos": {"site": "v", "by": "head"},
    "get_act_patch_attn_head_pattern_all_pos": {"site": "pattern", "by": "head"},
}


@dataclass(frozen=True)
class Row:
    """What two implementations say of the same things."""

    theirs: str
    ours: str
    n: int  # how many values
    largest: float  # of all values
    off: float  # the largest difference

    @classmethod
    def of(cls, theirs: str, ours: str, values: list[tuple[Any, Any]]) -> Row:
        """From (their values, our values), each in one order."""
        a, b = (
            np.concatenate([np.ravel(np.asarray(one[side], dtype=float)) for one in values])
            for side in (0, 1)
        )
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            raise ValueError(f"{theirs}: not all values are finite")
        return cls(theirs, ours, len(b), float(np.abs(b).max()), float(np.abs(a - b).max()))

    def __str__(self) -> str:
        return f"| {self.theirs} | {self.ours} | {self.n} | {self.largest:.3g} | {self.off:.1e} |"


HEADER = "| theirs | here | values | largest value | largest difference |\n|---|---|---|---|---|"


@dataclass(frozen=True)
class Setting:
    """The model here and there, and the pairs."""

    model: Model
    pairs: tuple[Pair, ...]

    @cached_property
    def hooked(self) -> HookedTransformer:
        return hooked(self.model)


def hooked(model: Model, *, folded: bool = False) -> HookedTransformer:
    """The same weights in TransformerLens, as they are or with the norms' weights folded in. Its `to_tokens`
    takes ids."""
    c = model.hf_model.config  # type: ignore[attr-defined]
    config = HookedTransformerConfig(
        n_layers=c.n_layer, d_model=c.n_embd, d_head=c.n_embd // c.n_head, n_heads=c.n_head,
        n_ctx=c.n_positions, d_vocab=c.vocab_size, act_fn="gelu_new", eps=c.layer_norm_epsilon,
        normalization_type="LN", device="cpu", dtype=torch.float64,
    )  # fmt: skip
    other = HookedTransformer(config)
    other.load_and_process_state_dict(
        convert_gpt2_weights(model.hf_model, config),  # type: ignore[attr-defined]
        fold_ln=folded,
        center_writing_weights=False,
        center_unembed=False,
        fold_value_biases=False,
    )
    other.to_tokens = lambda ids, **_: ids
    return other


def batch(ids: tuple[int, ...]) -> torch.Tensor:
    return torch.tensor([ids])


def logit_diff(pair: Pair) -> Callable[..., torch.Tensor]:
    """The metric of logits [1, pos, d_vocab], whatever else is handed in."""
    return lambda logits, *_: logits[0, -1, pair.answer] - logits[0, -1, pair.foil]


# ---- TransformerLens ----


def transformer_lens(s: Setting) -> list[Row]:
    rows = [_patching(s, name, options) for name, options in PATCHING.items()]
    return [*rows, _heads_by_position(s), *_attribution(s), *_heads(s)]


def _patching(s: Setting, name: str, options: dict[str, Any]) -> Row:
    """What every cell changes of the recovery, denoising and noising."""
    values = []
    for pair in s.pairs:
        for direction in ("denoising", "noising"):
            prompts = {"clean": pair.clean, "corrupted": pair.corrupted}
            answers = {"answer": pair.answer, "foil": pair.foil}
            given: dict[str, Any] = {**prompts, **answers, **options, "direction": direction}
            unpatched = 0.0 if direction == "denoising" else 1.0
            theirs = _their_recovery(s, pair, name, direction)
            ours = interp.activation_patching(s.model, **given).recovery.mean
            values.append((theirs - unpatched, ours - unpatched))
    by = options.get("by", "position")
    return Row.of(f"`{name}`", f"`activation_patching(site={options['site']!r}, by={by!r})`", values)


def _their_recovery(s: Setting, pair: Pair, name: str, direction: str) -> np.ndarray:
    clean, corrupted = batch(pair.clean), batch(pair.corrupted)
    metric = logit_diff(pair)
    base, donor = (corrupted, clean) if direction == "denoising" else (clean, corrupted)
    with torch.no_grad():
        _, cache = s.hooked.run_with_cache(donor)
        patched = getattr(patching, name)(s.hooked, base, cache, metric)
        low, high = (float(metric(s.hooked(ids))) for ids in (corrupted, clean))
    return (patched.double().numpy() - low) / (high - low)


def _heads_by_position(s: Setting) -> Row:
    """Recovery of every head at every position: [layer, pos, head], denoising."""
    values, arch = [], s.model.arch
    for pair in s.pairs:
        z = s.model.run_with_cache(list(pair.clean), ["z"])
        branches = [
            [Edit.set("z", n, value=z["z", n][:, p : p + 1, h : h + 1], positions=p, heads=h)]
            for n in range(arch.n_layers)
            for p in range(len(pair))
            for h in range(arch.n_heads)
        ]
        readout = Readout.logit_diff(pair.answer, pair.foil)
        ours = s.model.sweep(list(pair.corrupted), branches, readout).values.numpy()
        low, high = (float(readout(s.model.forward(list(ids)))[0]) for ids in (pair.corrupted, pair.clean))
        theirs = _their_recovery(s, pair, "get_act_patch_attn_head_out_by_pos", "denoising")
        values.append((theirs, (ours - low) / (high - low)))
    return Row.of("`get_act_patch_attn_head_out_by_pos`", "`Model.sweep` over `z`", values)


def _attribution(s: Setting) -> list[Row]:
    """Direct logit attribution of the logit difference by component, head and neuron."""
    arch = s.model.arch
    every = arch.n_layers * arch.d_mlp
    found: dict[str, list[tuple[Any, Any]]] = {"components": [], "heads": [], "neurons": [], "unfolded": []}
    folded = hooked(s.model, folded=True)
    for pair in s.pairs:
        ours = interp.direct_logit_attribution(s.model, list(pair.clean), pair.answer, pair.foil, k=every)
        assert ours.by_head is not None
        assert ours.by_neuron is not None
        neurons = np.zeros((arch.n_layers, arch.d_mlp))
        neurons[tuple(np.array(ours.by_neuron.neurons).T)] = ours.by_neuron.parts.value
        for other in (folded, s.hooked):
            with torch.no_grad():
                _, cache = other.run_with_cache(batch(pair.clean))
            stacks = {
                "components": cache.decompose_resid(layer=-1, pos_slice=-1),
                "heads": cache.stack_head_results(layer=-1, pos_slice=-1),
                "neurons": cache.stack_neuron_results(layer=-1, pos_slice=-1),
            }
            theirs = {
                name: cache.logit_attrs(stack, pair.answer, pair.foil, pos_slice=-1).detach().numpy()
                for name, stack in stacks.items()
            }
            if other is folded:
                found["components"].append((theirs["components"], ours.by_component.mean[:-1]))
                found["heads"].append((theirs["heads"], ours.by_head.mean))
                found["neurons"].append((theirs["neurons"], neurons))
            else:
                found["unfolded"].append((theirs["heads"], ours.by_head.mean))
    dla = "`direct_logit_attribution`"
    return [
        Row.of("`logit_attrs(decompose_resid)`, folded", f"{dla}, components", found["components"]),
        Row.of("`logit_attrs(stack_head_results)`, folded", f"{dla}, heads", found["heads"]),
        Row.of("`logit_attrs(stack_neuron_results)`, folded", f"{dla}, neurons", found["neurons"]),
        Row.of("`logit_attrs(stack_head_results)`, not folded", f"{dla}, heads", found["unfolded"]),
    ]


def _heads(s: Setting) -> list[Row]:
    """Scores of every head on the same repeated tokens."""
    ours = interp.head_scores(s.model, n=N_SEQUENCES, length=LENGTH)
    drawn = repeated_sequences(s.model, n=N_SEQUENCES, length=LENGTH)
    n_pos, again = len(drawn.ids[0]), list(drawn.second_copy)
    of_second_copy = torch.zeros(n_pos, n_pos)
    of_second_copy[again] = get_previous_token_head_detection_pattern(batch(drawn.ids[0]))[again]

    def theirs(pattern: Any) -> np.ndarray:
        scores = [detect_head(s.hooked, batch(ids), pattern) for ids in drawn.ids]
        return torch.stack(scores).mean(0).numpy()  # [layer, head]

    share = LENGTH / n_pos  # of all queries, those of the second copy
    rows = []
    for name in ("duplicate_token", "induction"):
        pair = [(theirs(f"{name}_head"), ours.score(name) * share)]
        rows.append(Row.of(f"`detect_head({name}_head)`", f"`head_scores`, {name}, x {LENGTH}/{n_pos}", pair))
    previous = ours.score("previous_token") * share
    rows.append(
        Row.of(
            "`detect_head`, previous-token pattern of the second copy alone",
            f"`head_scores`, previous_token, x {LENGTH}/{n_pos}",
            [(theirs(of_second_copy), previous)],
        )
    )
    whole = [(theirs("previous_token_head"), ours.score("previous_token"))]
    rows.append(Row.of("`detect_head(previous_token_head)`", "`head_scores`, previous_token", whole))
    return rows


# ---- EAP-IG ----


class OnCPU(TorchFunctionMode):
    """Where code asks for "cuda" by name, it gets the CPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if kwargs.get("device") == "cuda":
            kwargs["device"] = "cpu"
        return func(*args, **kwargs)


def load_eap_ig(folder: Path) -> SimpleNamespace:
    """Its modules, with ids in the place of texts."""
    sys.path.insert(0, str(folder))
    from eap import attribute, evaluate, graph

    def tokenized(model: Any, prompts: Any, max_length: Any = None) -> tuple[Any, ...]:
        ids = torch.tensor(prompts)
        return ids, torch.ones_like(ids), torch.full((len(ids),), ids.shape[1]), ids.shape[1]

    attribute.tokenize_plus = evaluate.tokenize_plus = tokenized
    return SimpleNamespace(attribute=attribute, evaluate=evaluate, Graph=graph.Graph)


def eap_ig(s: Setting, eap: SimpleNamespace) -> list[Row]:
    for option in ("use_attn_result", "use_split_qkv_input", "use_hook_mlp_in"):
        getattr(s.hooked, f"set_{option}")(True)
    with OnCPU():
        return [*_edge_scores(s, eap), *_circuits(s, eap)]


def alone(pair: Pair) -> PairDataset:
    return PairDataset(name="one pair", pairs=(pair,))


def batches(pair: Pair) -> list[tuple[Any, Any, Any]]:
    """A pair as EAP-IG's dataloader gives it: clean, corrupted, label."""
    return [([pair.clean], [pair.corrupted], None)]


def _their_scores(s: Setting, eap: SimpleNamespace, pair: Pair, function: str, **options: Any) -> np.ndarray:
    """Their scores, in the order of edges here. An edge that is not in both graphs is an error."""
    graph, names = eap.Graph.from_model(s.hooked), Graph.of(s.model).edges
    if set(graph.edges) != set(names):
        raise ValueError(f"They have {len(graph.edges)} edges, and there are {len(names)} others here")
    score = getattr(eap.attribute, function)
    scores = score(s.hooked, graph, batches(pair), logit_diff(pair), quiet=True, **options)
    s.hooked.zero_grad()
    return np.array([float(scores[graph.edges[name].matrix_index]) for name in names])


def _edge_scores(s: Setting, eap: SimpleNamespace) -> list[Row]:
    """Scores of every edge, signed as the metric changes."""
    found: dict[str, list[tuple[Any, Any]]] = {}
    for pair in s.pairs:
        ours = {
            method: interp.edge_attribution(s.model, alone(pair), method=method, steps=STEPS).changes
            for method in EDGE_SCORES
        }
        theirs = _their_scores(s, eap, pair, "get_scores_eap")
        found.setdefault("eap", []).append((theirs, ours["eap"]))
        if pair is min(s.pairs, key=len):  # an evaluation an edge: minutes
            found["exact"] = [(_their_scores(s, eap, pair, "get_scores_exact"), ours["exact"])]
        for method in ("eap-ig-inputs", "eap-ig-activations"):
            once, twice = (
                _their_scores(s, eap, pair, EDGE_SCORES[method], steps=n) for n in (STEPS, 2 * STEPS)
            )
            found.setdefault(method, []).append((once, ours[method]))
            found.setdefault(f"{method}, at our steps", []).append((2 * twice - once, ours[method]))
    rows = []
    for key, values in found.items():
        method, _, how = key.partition(", ")
        how = how or (f"{STEPS} steps" if "ig" in method else "")
        theirs_name = f"`{EDGE_SCORES[method]}`" + (f", {how}" if how else "")
        rows.append(Row.of(theirs_name, f"`edge_attribution(method={method!r})`", values))
    return rows


def _circuits(s: Setting, eap: SimpleNamespace) -> list[Row]:
    """Which edges circuits built from the same scores hold, and what the model does with each circuit."""
    same: dict[str, list[tuple[Any, Any]]] = {"top": [], "greedy": []}
    values: dict[str, list[tuple[Any, Any]]] = {"patching": [], "zero": [], "zero, positions": []}
    for pair in s.pairs:
        dataset = alone(pair)
        scored = interp.edge_attribution(s.model, dataset, method="eap").scored
        graph = eap.Graph.from_model(s.hooked)
        for name, score in scored.scores.items():
            graph.edges[name].score = score
        for how in ("top", "greedy"):
            for size in SIZES:
                ours = (greedy if how == "greedy" else Circuit.top)(scored, size).pruned()
                (graph.apply_greedy if how == "greedy" else graph.apply_topn)(size)
                members = [bool(graph.edges[name].in_graph) for name in scored.candidates]
                same[how].append((members, [name in ours.members for name in scored.candidates]))
                for case, found in values.items():
                    intervention = case.split(",")[0]
                    graph.nodes["input"].out_hook = INPUT[case.endswith("positions")]
                    value = eap.evaluate.evaluate_graph(
                        s.hooked, graph, batches(pair), logit_diff(pair),
                        quiet=True, intervention=intervention,
                    )  # fmt: skip
                    ablation: Any = {"patching": "resample"}.get(intervention, intervention)
                    found.append((value, circuit_values(s.model, dataset, [ours], ablation=ablation)))
    return [
        Row.of("`Graph.apply_topn`", "`Circuit.top`, pruned; 1 for each edge in it", same["top"]),
        Row.of("`Graph.apply_greedy`", "`greedy`, pruned; 1 for each edge in it", same["greedy"]),
        Row.of('`evaluate_graph("patching")`', '`circuit_values("resample")`', values["patching"]),
        Row.of('`evaluate_graph("zero")`', '`circuit_values("zero")`', values["zero"]),
        Row.of(
            '`evaluate_graph("zero")`, the input node with its positions',
            '`circuit_values("zero")`',
            values["zero, positions"],
        ),
    ]


def show(name: str, rows: list[Row], *, write: bool) -> None:
    """Print a table, and put it in its place in the docs."""
    table = "\n".join([HEADER, *map(str, rows)]) + "\n"
    print(table)
    if write:
        put(name, table)


def main() -> None:
    parser = argparse.ArgumentParser(description="Agreement with published implementations.")
    parser.add_argument("--eap-ig", type=Path, help="the folder that holds EAP-IG's package `eap`")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/benchmarks.md")
    options = parser.parse_args()
    patching.tqdm = lambda iterable, **_: iterable  # its progress bar
    model = interp.load_model("demo-gpt2", device="cpu", dtype="float64")
    setting = Setting(model, tuple(encode_pair(model, **prompts) for prompts in PROMPTS))
    show("published-transformer-lens", transformer_lens(setting), write=options.write)
    if options.eap_ig:
        show("published-eap-ig", eap_ig(setting, load_eap_ig(options.eap_ig)), write=options.write)


if __name__ == "__main__":
    main()
