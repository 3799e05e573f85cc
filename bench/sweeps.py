"""Patching sweeps side by side: this engine, this library's plain path, and its peers, in one process.

    python bench/sweeps.py [--tokens 15 50 200] [--models gpt2 qwen3] [--own] [--write]

The same random weights (GPT-2-small and Qwen3-0.6B dimensions, no download), the same prompt, the same
cells, logit difference, denoising: resid_pre [layer x position]; z [layer x head], all positions of a head
at once; and a trace of windows, mlp_out of three layers together [layer x position].

Times are the median of three runs where one takes less than half a minute. Where a peer would take minutes,
it runs a sample of the cells, evenly spread, and its time is the sample's, scaled to all cells: such a
figure is marked with ~. Memory is how far the process's resident memory rose while the contender ran, in GB.
The floor is the arithmetic that must be done over the rate of matrix products measured in the same process.
Agreement is the largest difference of the logit difference from plain forward passes in float64, over a
sample of cells. With --own only this engine runs, and the process's largest resident memory is printed at
the end.
"""

from __future__ import annotations

import argparse
import copy
import ctypes
import gc
import platform
import resource
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from operator import attrgetter
from typing import Any

import psutil
import torch
from tables import put
from transformers import GPT2Config, GPT2LMHeadModel, Qwen3Config, Qwen3ForCausalLM

import interp
from interp import Address, Edit, Readout

ANSWER, FOIL = 7, 9
SAMPLE = 24  # cells of a slow contender
WINDOW = 3  # layers of the window trace

Cell = tuple[int, int]  # layer and position, or layer and head
SWEEPS = ("resid_pre [layer x position]", "z [layer x head]", "mlp_out, windows of 3 [layer x position]")
#: Where the modules of a layer are whose input is z, and whose output is mlp_out.
MODULES = {"gpt2": ("attn.c_proj", "mlp"), "qwen3": ("self_attn.o_proj", "mlp")}


@dataclass(frozen=True)
class Row:
    """One contender on one sweep."""

    name: str
    seconds: float
    scaled: bool
    memory: float  # GB
    forward: float | None  # seconds of one plain forward pass of it
    off: float | None  # from float64


@dataclass
class Setting:
    """One model, prompt and sweep, and what every contender is given."""

    hf: Any
    clean: list[int]
    corrupted: list[int]
    sweep: str
    dtype: str = "float32"

    def __post_init__(self) -> None:
        self.model = interp.load_model(self.hf, device="cpu", dtype=self.dtype)
        self.family, self.n_layers, self.n_pos = (
            self.model.arch.family,
            self.model.arch.n_layers,
            len(self.clean),
        )
        self.site = self.sweep.split(",")[0].split(" ")[0]
        columns = self.model.arch.n_heads if self.site == "z" else self.n_pos
        self.cells = [(layer, column) for layer in range(self.n_layers) for column in range(columns)]
        self.donor = self.model.run_with_cache(self.clean, [self.site])

    def sample(self, n: int = SAMPLE) -> list[Cell]:
        """Cells spread evenly, of all layers and columns."""
        stride = max(1, len(self.cells) // n) | 1
        return self.cells[::stride][:n]

    def patches(self, cell: Cell) -> list[tuple[int, Any, torch.Tensor]]:
        """What a cell carries over: in which layer, where in the activation, and the donor's values there."""
        layer, column = cell
        where = (slice(None), slice(None), slice(column, column + 1))
        if self.site != "z":
            where = (slice(None), slice(column, column + 1), slice(None))
        around = range(layer, layer + 1)
        if self.site == "mlp_out":
            around = range(max(0, layer - WINDOW // 2), min(self.n_layers, layer + (WINDOW + 1) // 2))
        return [(n, where, self.donor[self.site, n][where]) for n in around]


def diff(logits: torch.Tensor) -> float:
    """The metric at the last position of logits [1, pos, d_vocab]."""
    return float(logits[0, -1, ANSWER] - logits[0, -1, FOIL])


# ---- the contenders: each gives the metric of the cells that it is asked for ----


def branching(s: Setting, cells: list[Cell]) -> list[float]:
    return _own(s, cells, exact="auto")


def plain(s: Setting, cells: list[Cell]) -> list[float]:
    return _own(s, cells, exact=True)


def _own(s: Setting, cells: list[Cell], *, exact: Any) -> list[float]:
    where = "heads" if s.site == "z" else "positions"
    branches = [
        [Edit.set(s.site, n, value=value, **{where: cell[1]}) for n, _, value in s.patches(cell)]
        for cell in cells
    ]
    return s.model.sweep(s.corrupted, branches, Readout.logit_diff(ANSWER, FOIL), exact=exact).values.tolist()


def loop(s: Setting, cells: list[Cell]) -> list[float]:
    """Hooks on plain modules, one forward pass a cell."""
    ids, values = torch.tensor([s.corrupted]), []
    for cell in cells:
        with torch.no_grad(), ExitStack() as hooks:
            for layer, where, value in s.patches(cell):
                hooks.callback(_hooked(s, layer, where, value).remove)
            values.append(diff(s.hf(ids, use_cache=False).logits))
    return values


def _hooked(s: Setting, layer: int, where: Any, value: torch.Tensor) -> Any:
    """A hook that puts the donor's values in their place."""
    block = s.model.layers[layer]  # type: ignore[attr-defined]
    before_mlp, mlp = (attrgetter(path)(block) for path in MODULES[s.family])

    def put(x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        (x.unflatten(-1, (s.model.arch.n_heads, -1)) if s.site == "z" else x)[where] = value
        return x

    if s.site == "mlp_out":
        return mlp.register_forward_hook(lambda _, __, output: put(output))

    def patch(_: Any, args: tuple, kwargs: dict) -> Any:
        if args:
            return (put(args[0]), *args[1:]), kwargs
        return args, kwargs | {"hidden_states": put(kwargs["hidden_states"])}

    module = before_mlp if s.site == "z" else block
    return module.register_forward_pre_hook(patch, with_kwargs=True)


class TransformerLens:
    """3.9's HookedTransformer: its own patching functions, and hooks for windows, which it has none for."""

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
        if s.site == "mlp_out":
            return [self._with_hooks(s, cell) for cell in cells]
        import pandas
        from transformer_lens import patching

        column = "head" if s.site == "z" else "pos"
        setter = {"head": patching.layer_head_vector_patch_setter, "pos": patching.layer_pos_patch_setter}[
            column
        ]
        with torch.no_grad():
            _, cache = self.model.run_with_cache(self.clean)
            frame = pandas.DataFrame(cells, columns=["layer", column])
            patching.tqdm = lambda iterable, **_: iterable  # its progress bar
            values = patching.generic_activation_patch(
                self.model, self.corrupted, cache, lambda logits: torch.tensor(diff(logits)),
                setter, s.site, index_df=frame,
            )  # fmt: skip
        return values.tolist()

    def _with_hooks(self, s: Setting, cell: Cell) -> float:
        def put(x: torch.Tensor, hook: Any, *, where: Any, value: torch.Tensor) -> torch.Tensor:
            x[where] = value
            return x

        hooks = [
            (Address(s.site, layer).hook, partial(put, where=where, value=value))
            for layer, where, value in s.patches(cell)
        ]
        with torch.no_grad():
            return diff(self.model.run_with_hooks(self.corrupted, fwd_hooks=hooks))


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
        blocks = self.model.transformer.h if s.family == "gpt2" else self.model.model.layers
        before_mlp, mlp = (attrgetter(path) for path in MODULES[s.family])
        for cell in cells:
            patches = s.patches(cell)
            column, d_head = cell[1], s.model.arch.d_head
            with torch.no_grad(), self.model.trace(self.ids):
                for layer, _, value in patches:
                    if s.site == "z":
                        flat = value.flatten(-2)
                        before_mlp(blocks[layer]).input[..., column * d_head : (column + 1) * d_head] = flat
                    elif s.site == "mlp_out":
                        mlp(blocks[layer]).output[:, column : column + 1] = value
                    else:
                        blocks[layer].input[:, column : column + 1] = value
                logits = self.model.output.logits.save()
            values.append(diff(logits))
        return values


class Pyvene:
    """One intervention a cell; it runs the source as well each time."""

    def __init__(self, s: Setting) -> None:
        import pyvene

        if s.hf.config.model_type != "gpt2" or s.site != "resid_pre":
            raise NotImplementedError("set up for GPT-2's resid_pre here")
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


def memory_of(call: Callable[[], Any]) -> float:
    """How far the process's resident memory rises above what it is before, in GB."""
    gc.collect()
    if platform.system() == "Linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # or memory that an earlier contender freed is used, unseen
    process, ended = psutil.Process(), threading.Event()
    before = peak = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.005):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        call()
    finally:
        ended.set()
        watcher.join()
    return (peak - before) / 1e9


def measure(name: str, run: Any, s: Setting, truth: dict[Cell, float], *, patience: float) -> Row:
    """Time one contender, on all cells where that takes less than `patience` seconds."""
    run(s, s.cells[:2])  # what is set up once is not the sweep's
    each = timed(lambda: run(s, s.sample(4))) / 4
    few = run is not branching and each * len(s.cells) > patience
    cells = s.sample() if few else s.cells
    first = timed(lambda: run(s, cells))
    more = [timed(lambda: run(s, cells)) for _ in range(2)] if first < 30 else []
    seconds = statistics.median([first, *more]) * len(s.cells) / len(cells)
    memory = memory_of(lambda: run(s, cells if run in (branching, plain) else s.cells[:2]))
    checked = list(truth)
    off = max(abs(value - truth[cell]) for cell, value in zip(checked, run(s, checked), strict=True))
    forward = statistics.median(timed(run.forward) for _ in range(5)) if hasattr(run, "forward") else None
    return Row(name, seconds, few, memory, forward, off)


def in_float64(s: Setting) -> dict[Cell, float]:
    """The metric of some cells by plain forward passes in float64."""
    wide = Setting(copy.deepcopy(s.hf).double(), s.clean, s.corrupted, s.sweep, "float64")
    cells = s.sample(10)
    return dict(zip(cells, loop(wide, cells), strict=True))


def rate() -> float:
    """Operations a second of a matrix product of the size that a sweep has."""
    a, b = torch.randn(1536, 768), torch.randn(768, 3072)
    timed(lambda: a @ b)
    return 2 * a.numel() * 3072 / min(timed(lambda: a @ b) for _ in range(20))


def operations(s: Setting) -> int:
    """What no exact sweep can do without: the matrix products of every row of every branch.

    Each row goes through the matrices of each layer above the branch's own, but for the last, in which only
    keys and values of its rows and the whole of the last position are needed. In its own layer a branch of
    resid_pre does all of that too, one of z the output projection and the MLP, one of mlp_out nothing.
    """
    arch, layer = s.model.arch, s.model.layers[0]  # type: ignore[attr-defined]
    matrices = sum(p.numel() for p in layer.parameters() if p.ndim == 2)
    kv = 2 * arch.d_model * arch.n_kv_heads * arch.d_head
    projections = arch.d_model * arch.d_head * (arch.n_heads + 2 * arch.n_kv_heads)
    own = {"resid_pre": matrices, "z": matrices - projections, "mlp_out": 0}[s.site]
    total = 0
    for layer_number, column in s.cells:
        rows = s.n_pos if s.site == "z" else s.n_pos - column
        joins = max(0, layer_number - WINDOW // 2) if s.site == "mlp_out" else layer_number
        if joins == s.n_layers - 1:
            total += rows * kv + matrices - kv if s.site == "resid_pre" else own
            continue
        total += (rows if s.site == "resid_pre" else (s.n_pos if s.site == "z" else 1)) * own
        total += rows * matrices * (s.n_layers - 2 - joins) + rows * kv + matrices - kv
    return 2 * total


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


def table(title: str, s: Setting, *, patience: float, own_alone: bool) -> str:
    truth = in_float64(s)
    before = rate()
    rows = [measure("interp, branching", branching, s, truth, patience=patience)]
    work = operations(s)
    least = work / statistics.mean((before, rate()))
    peers: list[tuple[str, Any]] = [
        ("interp, plain batches", lambda: plain),
        ("loop of plain forwards", lambda: loop),
        ("TransformerLens", lambda: TransformerLens(s)),
        ("nnsight", lambda: NNsight(s)),
        ("pyvene", lambda: Pyvene(s)),
    ]
    for peer, make in [] if own_alone else peers:
        try:
            rows.append(measure(peer, make(), s, truth, patience=patience))
        except (ImportError, NotImplementedError) as error:
            print(f"  {peer}: left out ({error})")
    own = rows[0].seconds
    lines = [
        f"### {title}: {s.sweep}, {s.n_pos} tokens, {len(s.cells)} cells",
        "",
        f"Floor: {least:.2f} s ({work / 1e9:.0f} billion operations at {work / least / 1e9:.0f} GFLOP/s); "
        f"branching runs at {100 * least / own:.0f} % of its speed.",
        "",
        "| | seconds | times branching | memory (GB) | one forward (s) | off float64 |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        forward = "" if row.forward is None else f"{row.forward:.3f}"
        lines.append(
            f"| {row.name} | {'~' * row.scaled}{row.seconds:.2f} | {row.seconds / own:.1f} "
            f"| {row.memory:.2f} | {forward} | {row.off:.1e} |"
        )
    return "\n".join(lines) + "\n"


def settings(name: str, tokens: list[int]) -> list[tuple[int, str]]:
    """Which sweeps are done on a model: all at the first length; at the others resid_pre, on GPT-2 alone."""
    sweeps = [(tokens[0], sweep) for sweep in SWEEPS]
    return sweeps + [(n, SWEEPS[0]) for n in tokens[1:] if name == "gpt2"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Patching sweeps side by side.")
    parser.add_argument("--tokens", type=int, nargs="+", default=[15, 50, 200])
    parser.add_argument("--models", nargs="+", default=["gpt2", "qwen3"], choices=["gpt2", "qwen3"])
    parser.add_argument("--patience", type=float, default=60, help="seconds after which a peer runs a sample")
    parser.add_argument("--own", action="store_true", help="this engine alone")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/benchmarks.md")
    options = parser.parse_args()
    tables = []
    for name in options.models:
        hf = build(name)
        title = {"gpt2": "GPT-2 small dimensions", "qwen3": "Qwen3-0.6B dimensions"}[name]
        for n_tokens, sweep in settings(name, options.tokens):
            generator = torch.Generator().manual_seed(1)
            ids = [torch.randint(10, 50_000, (n_tokens,), generator=generator).tolist() for _ in range(2)]
            s = Setting(hf, *ids, sweep)
            tables.append(table(title, s, patience=options.patience, own_alone=options.own))
            print(tables[-1], flush=True)
    print(f"largest resident memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
    versions = ", ".join(
        f"{package} {metadata.version(package)}"
        for package in ("torch", "transformers", "transformer-lens", "nnsight", "pyvene")
        if _installed(package)
    )
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads"
    head = f"{machine}; Python {platform.python_version()}, {versions}.\n"
    if options.write:
        put("measured", "\n".join([head, *tables]))


def _installed(package: str) -> bool:
    try:
        return bool(metadata.version(package))
    except metadata.PackageNotFoundError:
        return False


if __name__ == "__main__":
    main()
