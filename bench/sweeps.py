"""Patching sweeps side by side: this engine, this library's plain path, and its peers, in one process.

    python bench/sweeps.py [--tokens 15 50 200] [--models gpt2 qwen3] [--write]

The same random weights (GPT-2-small and Qwen3-0.6B dimensions, no download), the same prompt, the same
cells: resid_pre [layer x position] denoising, logit difference. Times are the median of three runs where
one takes less than half a minute. Where a peer would take minutes, it runs a sample of the cells, evenly
spread, and its time is the sample's, scaled to all cells: such a figure is marked with ~. The floor is the
arithmetic that must be done over the rate of matrix products measured in the same process. Agreement is the
largest difference of the logit difference from plain forward passes in float64, over a sample of cells.
"""

from __future__ import annotations

import argparse
import copy
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Qwen3Config, Qwen3ForCausalLM

import interp
from interp import Edit, Readout

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- begin: measured -->\n", "<!-- end: measured -->\n"
ANSWER, FOIL = 7, 9
SAMPLE = 24  # cells of a slow contender

Cell = tuple[int, int]  # layer, position


@dataclass(frozen=True)
class Row:
    """One contender on one sweep."""

    name: str
    seconds: float
    scaled: bool
    forward: float | None  # seconds of one plain forward pass of it
    off: float | None  # from float64


@dataclass
class Setting:
    """One model and prompt, and what every contender is given."""

    hf: Any
    clean: list[int]
    corrupted: list[int]

    def __post_init__(self) -> None:
        config = self.hf.config
        self.n_layers, self.n_pos = config.num_hidden_layers, len(self.clean)
        self.cells = [(layer, p) for layer in range(self.n_layers) for p in range(self.n_pos)]
        self.model = interp.load_model(self.hf, device="cpu")
        self.donor = self.model.run_with_cache(self.clean, ["resid_pre"])

    def sample(self, n: int = SAMPLE) -> list[Cell]:
        """Cells spread evenly, of all layers and positions."""
        stride = max(1, len(self.cells) // n) | 1
        return self.cells[::stride][:n]


def diff(logits: torch.Tensor) -> float:
    """The metric at the last position of logits [1, pos, d_vocab]."""
    return float(logits[0, -1, ANSWER] - logits[0, -1, FOIL])


# ---- the contenders: each gives the metric of the cells that it is asked for ----


def branching(s: Setting, cells: list[Cell]) -> list[float]:
    return _own(s, cells, exact="auto")


def plain(s: Setting, cells: list[Cell]) -> list[float]:
    return _own(s, cells, exact=True)


def _own(s: Setting, cells: list[Cell], *, exact: Any) -> list[float]:
    branches = [
        [Edit.set("resid_pre", n, value=s.donor["resid_pre", n][:, [p]], positions=p)] for n, p in cells
    ]
    return s.model.sweep(s.corrupted, branches, Readout.logit_diff(ANSWER, FOIL), exact=exact).values.tolist()


def loop(s: Setting, cells: list[Cell]) -> list[float]:
    """A hook on plain modules, one forward pass a cell."""
    layers, ids, values = s.model.layers, torch.tensor([s.corrupted]), []  # type: ignore[attr-defined]
    for layer, position in cells:

        def patch(_: Any, args: tuple, kwargs: dict, layer: int = layer, position: int = position) -> Any:
            x = (args[0] if args else kwargs["hidden_states"]).clone()
            x[:, position] = s.donor["resid_pre", layer][:, position]
            return ((x, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": x})

        handle = layers[layer].register_forward_pre_hook(patch, with_kwargs=True)
        with torch.no_grad():
            values.append(diff(s.hf(ids, use_cache=False).logits))
        handle.remove()
    return values


class TransformerLens:
    """3.9's HookedTransformer and its own patching function."""

    def __init__(self, s: Setting) -> None:
        from transformer_lens import HookedTransformer, HookedTransformerConfig
        from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights

        c = s.hf.config
        if c.model_type != "gpt2":
            raise NotImplementedError("set up for GPT-2 here")
        config = HookedTransformerConfig(
            n_layers=c.n_layer, d_model=c.n_embd, d_head=c.n_embd // c.n_head, n_heads=c.n_head,
            n_ctx=c.n_positions, d_vocab=c.vocab_size, act_fn="gelu_new", eps=c.layer_norm_epsilon,
            normalization_type="LN", device="cpu",
        )  # fmt: skip
        self.model = HookedTransformer(config)
        weights = convert_gpt2_weights(s.hf, config)
        self.model.load_and_process_state_dict(
            weights,
            fold_ln=False,
            center_writing_weights=False,
            center_unembed=False,
            fold_value_biases=False,
        )
        self.clean, self.corrupted = torch.tensor([s.clean]), torch.tensor([s.corrupted])

    def forward(self) -> None:
        with torch.no_grad():
            self.model(self.corrupted)

    def __call__(self, s: Setting, cells: list[Cell]) -> list[float]:
        import pandas
        from transformer_lens import patching

        with torch.no_grad():
            _, cache = self.model.run_with_cache(self.clean)
            frame = pandas.DataFrame(cells, columns=["layer", "pos"])
            patching.tqdm = lambda iterable, **_: iterable  # its progress bar
            values = patching.generic_activation_patch(
                self.model, self.corrupted, cache, lambda logits: torch.tensor(diff(logits)),
                patching.layer_pos_patch_setter, "resid_pre", index_df=frame,
            )  # fmt: skip
        return values.tolist()


class NNsight:
    """One trace a cell."""

    def __init__(self, s: Setting) -> None:
        from nnsight import NNsight as Wrapped

        self.model = Wrapped(copy.deepcopy(s.hf))
        self.ids = torch.tensor([s.corrupted])

    def forward(self) -> None:
        with torch.no_grad(), self.model.trace(self.ids):
            self.model.output.logits.save()

    def __call__(self, s: Setting, cells: list[Cell]) -> list[float]:
        values = []
        base = self.model.transformer.h if s.hf.config.model_type == "gpt2" else self.model.model.layers
        for layer, position in cells:
            value = s.donor["resid_pre", layer][:, position]
            with torch.no_grad(), self.model.trace(self.ids):
                base[layer].input[:, position] = value
                logits = self.model.output.logits.save()
            values.append(diff(logits))
        return values


class Pyvene:
    """One intervention a cell; it runs the source as well each time."""

    def __init__(self, s: Setting) -> None:
        import pyvene

        if s.hf.config.model_type != "gpt2":
            raise NotImplementedError("set up for GPT-2 here")
        self.pyvene, self.hf = pyvene, copy.deepcopy(s.hf)
        self.clean, self.corrupted = ({"input_ids": torch.tensor([ids])} for ids in (s.clean, s.corrupted))
        self.per_layer: dict[int, Any] = {}

    def forward(self) -> None:
        with torch.no_grad():
            self.hf(**self.corrupted, use_cache=False)

    def __call__(self, s: Setting, cells: list[Cell]) -> list[float]:
        values = []
        for layer, position in cells:
            if layer not in self.per_layer:
                representation = self.pyvene.RepresentationConfig(layer, "block_input", "pos", 1)
                config = self.pyvene.IntervenableConfig([representation], self.pyvene.VanillaIntervention)
                self.per_layer[layer] = self.pyvene.IntervenableModel(config, self.hf)
            with torch.no_grad():
                _, patched = self.per_layer[layer](
                    self.corrupted, [self.clean], {"sources->base": ([[[position]]], [[[position]]])}
                )
            values.append(diff(patched.logits))
        return values


# ---- measuring ----


def timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(name: str, run: Any, s: Setting, truth: dict[Cell, float], *, patience: float) -> Row:
    """Time one contender, on all cells where that takes less than `patience` seconds."""
    run(s, s.cells[:2])  # what is set up once is not the sweep's
    each = timed(lambda: run(s, s.sample(4))) / 4
    few = run is not branching and each * len(s.cells) > patience
    cells = s.sample() if few else s.cells
    first = timed(lambda: run(s, cells))
    more = [timed(lambda: run(s, cells)) for _ in range(2)] if first < 30 else []
    seconds = statistics.median([first, *more]) * len(s.cells) / len(cells)
    checked = [cell for cell in truth if cell in set(s.cells)]
    off = max(abs(value - truth[cell]) for cell, value in zip(checked, run(s, checked), strict=True))
    forward = statistics.median(timed(run.forward) for _ in range(5)) if hasattr(run, "forward") else None
    return Row(name, seconds, few, forward, off)


def in_float64(s: Setting) -> dict[Cell, float]:
    """The metric of some cells by plain forward passes in float64."""
    hf = copy.deepcopy(s.hf).double()
    other = Setting.__new__(Setting)
    other.hf, other.clean, other.corrupted = hf, s.clean, s.corrupted
    other.model = interp.load_model(hf, device="cpu", dtype="float64")
    other.donor = other.model.run_with_cache(s.clean, ["resid_pre"])
    cells = s.sample(10)
    return dict(zip(cells, loop(other, cells), strict=True))


def floor(s: Setting) -> tuple[float, float]:
    """Seconds of arithmetic that no exact sweep can do without, and the rate measured, in GFLOP/s.

    Each row of a branch goes through the matrices of each layer from the branch's own on, but for the last,
    in which only keys and values of its rows and the whole of the last position are needed.
    """
    c = s.hf.config
    d, layer = c.hidden_size, s.model.layers[0]  # type: ignore[attr-defined]
    matrices = sum(p.numel() for p in layer.parameters() if p.ndim == 2)
    kv = 2 * d * s.model.arch.n_kv_heads * s.model.arch.d_head
    operations = 0
    for joins in range(s.n_layers):
        for position in range(s.n_pos):
            rows = s.n_pos - position
            operations += 2 * rows * matrices * (s.n_layers - 1 - joins) + 2 * (rows * kv + matrices - kv)
    wide = s.model.arch.d_mlp or 4 * d
    a, b = torch.randn(1536, d), torch.randn(d, wide)
    timed(lambda: a @ b)
    rate = 2 * a.numel() * wide / min(timed(lambda: a @ b) for _ in range(20))
    return operations / rate, rate / 1e9


def build(name: str) -> Any:
    torch.manual_seed(0)
    if name == "gpt2":
        return GPT2LMHeadModel(GPT2Config()).eval()
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=151_936, hidden_size=1024, intermediate_size=3072, num_hidden_layers=28,
            num_attention_heads=16, num_key_value_heads=8, head_dim=128, tie_word_embeddings=True,
        )
    ).eval()  # fmt: skip


def table(name: str, hf: Any, n_tokens: int, *, patience: float) -> str:
    generator = torch.Generator().manual_seed(1)
    ids = [torch.randint(10, 50_000, (n_tokens,), generator=generator).tolist() for _ in range(2)]
    s = Setting(hf, *ids)
    truth = in_float64(s)
    least, rate = floor(s)
    rows = [measure("interp, branching", branching, s, truth, patience=patience)]
    peers: list[tuple[str, Any]] = [
        ("interp, plain batches", lambda: plain),
        ("loop of plain forwards", lambda: loop),
    ]
    peers += [
        ("TransformerLens", lambda: TransformerLens(s)),
        ("nnsight", lambda: NNsight(s)),
        ("pyvene", lambda: Pyvene(s)),
    ]
    for peer, make in peers:
        try:
            rows.append(measure(peer, make(), s, truth, patience=patience))
        except (ImportError, NotImplementedError) as error:
            print(f"  {peer}: left out ({error})")
        print(f"  {name}, {n_tokens} tokens: {peer} done")
    own = rows[0].seconds
    lines = [
        f"### {name} dimensions, [{s.n_layers} x {n_tokens}], {len(s.cells)} cells",
        "",
        f"Floor: {least:.2f} s at {rate:.0f} GFLOP/s; branching runs at {100 * least / own:.0f} % of it.",
        "",
        "| | seconds | times branching | one forward (s) | off float64 |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        forward = "" if row.forward is None else f"{row.forward:.3f}"
        lines.append(
            f"| {row.name} | {'~' * row.scaled}{row.seconds:.2f} | {row.seconds / own:.1f} | {forward} "
            f"| {row.off:.1e} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Patching sweeps side by side.")
    parser.add_argument("--tokens", type=int, nargs="+", default=[15, 50, 200])
    parser.add_argument("--models", nargs="+", default=["gpt2", "qwen3"], choices=["gpt2", "qwen3"])
    parser.add_argument("--patience", type=float, default=60, help="seconds after which a peer runs a sample")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/benchmarks.md")
    options = parser.parse_args()
    tables = []
    for name in options.models:
        hf = build(name)
        for n_tokens in options.tokens if name == "gpt2" else options.tokens[:1]:
            tables.append(
                table(
                    {"gpt2": "GPT-2 small", "qwen3": "Qwen3-0.6B"}[name],
                    hf,
                    n_tokens,
                    patience=options.patience,
                )
            )
            print(tables[-1])
    versions = ", ".join(
        f"{package} {metadata.version(package)}"
        for package in ("torch", "transformers", "transformer-lens", "nnsight", "pyvene")
        if _installed(package)
    )
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads"
    head = f"{machine}; Python {platform.python_version()}, {versions}.\n"
    text = BEGIN + "\n".join([head, *tables]) + END
    if options.write:
        before, _, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
        DOCS.write_text(before + text + rest.partition(END)[2], encoding="utf-8")


def _installed(package: str) -> bool:
    try:
        return bool(metadata.version(package))
    except metadata.PackageNotFoundError:
        return False


if __name__ == "__main__":
    main()
