"""Makes a demo model from a seed: its text, its tokenizer, its weights, its figures and its card.

    python -m interp.zoo.making.train demo-gpt2 [--seed 0] [--steps N] [--out DIR]

Steps: 1. the table of people and the tokenizer; 2. the model with fresh weights; 3. training on sequences
drawn from the seed; 4. the weights in float16, read back and measured in float32; 5. the card. With
the same seed, versions and number of threads the result is the same. Progress is saved to a temporary file
every hundred steps: a stopped run goes on from there when it is started again with the same arguments.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from interp.zoo.corpus import first_sequences, sequences
from interp.zoo.making.behaviours import Behaviours, measure
from interp.zoo.making.card import write_card
from interp.zoo.making.tokenizer import END_OF_TEXT, build_tokenizer
from interp.zoo.making.warm_start import start_with_previous_token_heads

FOLDER = Path(__file__).parents[1]
ANSWERS = ("answer", "city", "indirect_object")  # labels of the tokens that a model is asked for


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one demo model is trained, in two stages: copying short random patterns, then all of the text.

    ``bos``: whether sequences start with ``<|endoftext|>``. The first stage draws from a pool of
    ``first_pool`` ids, which grows by 3 % at each step at which the loss, averaged over some twenty steps, is
    under ``first_grows_under`` nats. The stage ends when the pool holds all ids, and after ``first_at_most``
    steps at the latest; as long as the pool is not full then, a step of copying goes before every second step
    of text. Two models train side by side, with a thread each.

    ``answer_weight``: how much an answer (of a fact, a city, an indirect object) counts in the loss, where
    any other token counts 1. Answers are three tokens in a hundred, and most others cannot be foreseen.
    ``bfloat16``: whether products of matrices are made in bfloat16 (weights, residual stream, norms and
    attention stay in float32); 1.7 times as fast on a CPU that has it, and slow on one that has not.
    """

    name: str
    bos: bool
    steps: int  # of the second stage
    seed: int = 0
    batch: int = 24
    length: int = 128
    first_pool: int = 256
    first_grows_under: float = 2.5
    first_at_most: int = 550
    first_length: int = 64
    lr: float = 1e-2  # of Muon, for matrices
    lr_adam: float = 3e-3  # of AdamW, for embeddings and vectors
    text_share: float = 0.5  # of the learning rates, at the start of the second stage
    lr_end: float = 0.02
    warmup: int = 30
    momentum: float = 0.95
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.1
    clip: float = 1.0
    answer_weight: float = 5.0
    bfloat16: bool = True
    threads: int = 1

    def scale_at(self, step: int) -> float:
        """Share of the learning rates at a step of the second stage: a cosine down to ``lr_end`` of it."""
        cosine = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.text_share * (self.lr_end + (1 - self.lr_end) * cosine)


RECIPES: dict[str, Recipe] = {
    "demo-gpt2": Recipe(name="demo-gpt2", bos=True, steps=3200),
    "demo-qwen3": Recipe(name="demo-qwen3", bos=False, steps=3200),
}


def build_model(name: str, vocab_size: int) -> Any:
    """A model of the named architecture with fresh weights, drawn from torch's current seed.

    Token embeddings start larger than the library's default (standard deviation 0.1), and the first heads of
    layer 0 start as previous-token heads (`warm_start`).
    """
    if name == "demo-gpt2":
        from transformers import GPT2Config, GPT2LMHeadModel

        model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=vocab_size,
                n_positions=128,
                n_embd=192,
                n_layer=6,
                n_head=6,
                initializer_range=0.05,
                # the same function as gelu_new, in one kernel; saved as gelu_new, as in GPT-2
                activation_function="gelu_pytorch_tanh",
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                bos_token_id=0,
                eos_token_id=0,
            )
        )
    else:
        from transformers import Qwen3Config, Qwen3ForCausalLM

        model = Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=vocab_size,
                hidden_size=192,
                intermediate_size=512,
                num_hidden_layers=6,
                num_attention_heads=6,
                num_key_value_heads=2,
                head_dim=32,
                max_position_embeddings=512,
                initializer_range=0.05,
                tie_word_embeddings=True,
                attention_dropout=0.0,
                bos_token_id=None,
                eos_token_id=0,
            )
        )
    model.get_input_embeddings().weight.data.mul_(2.0)  # 0.05 -> 0.1
    start_with_previous_token_heads(model)
    return model


class Muon(torch.optim.Optimizer):
    """Momentum whose update of a matrix is made orthogonal by five Newton-Schulz steps.

    Keller Jordan 2024, https://kellerjordan.github.io/posts/muon/; the update is scaled to the size of Adam's
    (0.2 root mean square, Liu et al. 2025, arXiv:2502.16982). With Adam, copying from context did not begin
    within this recipe's steps; every direction of an attention matrix moving alike is what it needs.
    (torch's own Muon takes matrices one by one; here those of one shape share their products.)
    """

    def __init__(
        self,
        matrices: list[torch.Tensor],
        *,
        lr: float,
        momentum: float,
        weight_decay: float,
        dtype: torch.dtype,
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every matrix."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[torch.Tensor]] = {}
            for p in group["params"]:
                by_shape.setdefault(p.shape, []).append(p)
            for shape, matrices in by_shape.items():
                updates = torch.stack([self._with_momentum(p, group["momentum"]) for p in matrices])
                size = 0.2 * max(shape) ** 0.5
                for p, update in zip(matrices, orthogonal(updates.to(self.dtype)), strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"] * size)

    def _with_momentum(self, p: torch.Tensor, momentum: float) -> torch.Tensor:
        state = self.state[p]
        buffer = state.setdefault("momentum", torch.zeros_like(p))
        assert p.grad is not None
        buffer.mul_(momentum).add_(p.grad)
        return p.grad.add(buffer, alpha=momentum)


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Matrices [n, rows, columns] with all singular values brought near 1 (five Newton-Schulz steps)."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(5):
        product = x @ x.mT
        x = 3.4445 * x + (-4.7750 * product + 2.0315 * product @ product) @ x
    return x.mT if tall else x


def build_optimizers(model: Any, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for embeddings and vectors."""
    tables = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    matrices = [p for p in model.parameters() if p.dim() >= 2 and id(p) not in tables]
    others = [p for p in model.parameters() if p.dim() < 2 or id(p) in tables]
    return [
        Muon(
            matrices,
            lr=recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            dtype=torch.bfloat16 if recipe.bfloat16 else torch.float32,
        ),
        torch.optim.AdamW(others, lr=recipe.lr_adam, betas=recipe.betas, weight_decay=0.0, fused=True),
    ]


def first_batch(recipe: Recipe, tokenizer: Any, *, step: int, pool: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The batch of a step of the first stage, of as many tokens as one of the second; see `batches`."""
    return _batch(
        first_sequences(
            tokenizer=tokenizer,
            seed=f"{recipe.seed} {step}",
            pool=pool,
            count=recipe.batch * recipe.length // recipe.first_length,
            length=recipe.first_length,
            bos=recipe.bos,
        ),
        answer_weight=recipe.answer_weight,
    )


def batches(recipe: Recipe, tokenizer: Any) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of the second stage from the seed of the recipe, without end: token ids [batch, pos], and how
    much each counts in the loss [batch, pos]. A random token's first occurrence counts nothing: there is
    nothing to learn in it."""
    stream = sequences(tokenizer=tokenizer, seed=recipe.seed, length=recipe.length, bos=recipe.bos)
    while True:
        rows = [next(stream) for _ in range(recipe.batch)]
        yield _batch(rows, answer_weight=recipe.answer_weight)


def _batch(
    rows: list[tuple[list[int], list[str]]], *, answer_weight: float
) -> tuple[torch.Tensor, torch.Tensor]:
    weight = {"random": 0.0} | dict.fromkeys(ANSWERS, answer_weight)
    counts = [[weight.get(label, 1.0) for label in labels] for _, labels in rows]
    return torch.tensor([ids for ids, _ in rows]), torch.tensor(counts)


def weighted_loss(model: Any, ids: torch.Tensor, weights: torch.Tensor, *, bfloat16: bool) -> torch.Tensor:
    """Cross-entropy of the next token, averaged with weights; ``ids`` and ``weights`` are [batch, pos]."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        logits = model(input_ids=ids, use_cache=False).logits  # [batch, pos, vocab]
    losses = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="none"
    )  # [batch * (pos - 1)]
    weights = weights[:, 1:].flatten()
    return (losses * weights).sum() / weights.sum()


def attend_in_float32(model: Any) -> None:
    """Make a model attend in float32 under autocast: in bfloat16 torch's fused attention is slower on a CPU,
    its backward pass above all."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    def attention(module: Any, q: Any, k: Any, v: Any, mask: Any, **options: Any) -> Any:
        with torch.autocast("cpu", enabled=False):  # q, k, v: [batch, head, pos, d_head]
            return sdpa_attention_forward(module, q.float(), k.float(), v.float(), mask, **options)

    AttentionInterface.register("float32_sdpa", attention)
    AttentionMaskInterface.register("float32_sdpa", sdpa_mask)
    model.set_attn_implementation("float32_sdpa")


def _say(console: Console, figures: Behaviours) -> None:
    console.print(
        f"  held out: facts {figures.facts_top1:.3f} | names {figures.names_positive:.3f} "
        f"(diff {figures.names_mean_logit_diff:.2f}) | repeated {figures.repeated_first_loss:.2f} -> "
        f"{figures.repeated_second_loss:.3f} | known {figures.known_top1:.2f} unknown "
        f"{figures.unknown_top1:.2f} "
        f"withheld: unknown {figures.withheld_says_unknown:.2f} city {figures.withheld_says_city:.2f} | "
        f"years {figures.years_top1_later:.2f}"
    )


def _averaged(average: float, value: float) -> float:
    """A running average over some twenty values; infinite before the first."""
    return value if average == math.inf else 0.95 * average + 0.05 * value


class _Trainer:
    """A model in training: its optimizer, how far it is, and a file that it goes on from after a stop."""

    def __init__(self, recipe: Recipe, tokenizer: Any, console: Console) -> None:
        self.recipe, self.tokenizer, self.console = recipe, tokenizer, console
        self.model = build_model(recipe.name, tokenizer.get_vocab_size()).train()
        attend_in_float32(self.model)
        self.optimizers = build_optimizers(self.model, recipe)
        self.first_steps, self.steps, self.first_done = 0, 0, False
        self.pool = float(recipe.first_pool)
        self.running = self.copying = math.inf  # losses, averaged over about twenty steps
        self.seconds, self.begin = 0.0, time.monotonic()
        # A stopped run is only ever taken up by the same recipe on the same tokens.
        same = sha256((json.dumps(asdict(recipe)) + tokenizer.to_str()).encode()).hexdigest()[:12]
        self.file = Path(tempfile.gettempdir()) / f"interp-{recipe.name}-{same}.pt"

    def _step(self, batch: tuple[torch.Tensor, torch.Tensor], *, scale: float) -> float:
        """One step on one batch, at ``scale`` of the learning rates; its loss. RuntimeError for NaN."""
        for optimizer, lr in zip(self.optimizers, (self.recipe.lr, self.recipe.lr_adam), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = lr * scale
        loss = weighted_loss(self.model, *batch, bfloat16=self.recipe.bfloat16)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        value = loss.item()
        if not math.isfinite(value):
            raise RuntimeError(f"the loss is {value}: lower the learning rate")
        return value

    @property
    def pool_is_full(self) -> bool:
        """Whether copying has been learned on all ids."""
        return self.pool >= self.tokenizer.get_vocab_size()

    def copying_step(self, *, scale: float) -> None:
        """One step on short random patterns from the pool, which grows where they are copied well."""
        batch = first_batch(self.recipe, self.tokenizer, step=self.first_steps, pool=round(self.pool))
        self.copying = _averaged(self.copying, self._step(batch, scale=scale))
        self.first_steps += 1
        if self.copying < self.recipe.first_grows_under:
            self.pool = min(1.03 * self.pool, self.tokenizer.get_vocab_size())

    def text_step(self, batch: tuple[torch.Tensor, torch.Tensor], *, scale: float) -> None:
        """One step on the text."""
        self.running = _averaged(self.running, self._step(batch, scale=scale))
        self.steps += 1

    def time(self) -> float:
        """Seconds of training so far, those before a stop included."""
        return self.seconds + time.monotonic() - self.begin

    def save(self) -> None:
        """Write everything that is needed to go on."""
        partial = self.file.with_suffix(".partial")
        state = {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "first_steps": self.first_steps,
            "steps": self.steps,
            "first_done": self.first_done,
            "pool": self.pool,
            "running": self.running,
            "copying": self.copying,
            "seconds": self.time(),
        }
        torch.save(state, partial)
        os.replace(partial, self.file)

    def go_on(self) -> None:
        """Take up the state of an earlier run, if there is one."""
        if not self.file.exists():
            return
        state = torch.load(self.file, weights_only=True)
        self.model.load_state_dict(state.pop("model"))
        for optimizer, saved in zip(self.optimizers, state.pop("optimizers"), strict=True):
            optimizer.load_state_dict(saved)
        vars(self).update(state)
        self.begin = time.monotonic()
        self.console.print(f"going on from step {self.first_steps} + {self.steps} ({self.file})")

    def report(self, stage: str, step: int) -> None:
        """One line of progress every 25 steps; a checkpoint every 100."""
        if step % 25 == 0:
            self.console.print(
                f"{stage} step {step}  loss of copying {self.copying:.3f}, of text {self.running:.3f}  "
                f"pool {round(self.pool)}  {self.time():.0f} s"
            )
        if step % 100 == 0:
            self.save()

    def look(self) -> None:
        """Measure on a hundred or so held-out prompts of each kind."""
        self.model.eval()
        _say(self.console, measure(self.model, self.tokenizer, bos=self.recipe.bos, quick=True))
        self.model.train()


def train(recipe: Recipe, tokenizer: Any, *, console: Console, look_every: int = 250) -> _Trainer:
    """Train a fresh model by the recipe; the result has ``model`` (eval mode, float32) and ``seconds``."""
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    trainer = _Trainer(recipe, tokenizer, console)
    trainer.go_on()
    count = sum(p.numel() for p in trainer.model.parameters())
    console.print(
        f"{recipe.name}: {count / 1e6:.2f} M parameters, {recipe.steps} steps of "
        f"{recipe.batch} x {recipe.length} tokens, {recipe.threads} threads"
    )

    while not trainer.first_done:
        trainer.copying_step(scale=min(1.0, (trainer.first_steps + 1) / recipe.warmup))
        trainer.first_done = trainer.pool_is_full or trainer.first_steps >= recipe.first_at_most
        trainer.report("copying", trainer.first_steps)

    data = islice(batches(recipe, tokenizer), trainer.steps, None)
    while trainer.steps < recipe.steps:
        scale = recipe.scale_at(trainer.steps)
        if not trainer.pool_is_full and trainer.steps % 2:
            trainer.copying_step(scale=scale)
        trainer.text_step(next(data), scale=scale)
        trainer.report("text", trainer.steps)
        if trainer.steps % look_every == 0:
            trainer.look()
    trainer.seconds, trainer.begin = trainer.time(), time.monotonic()
    trainer.model.eval()
    return trainer


def save(model: Any, tokenizer: Any, folder: Path, *, bos: bool) -> None:
    """Write the model (float16) and its tokenizer in Hugging Face's format into a folder."""
    from transformers import PreTrainedTokenizerFast

    if model.config.model_type == "gpt2":
        model.config.activation_function = "gelu_new"
    model.half().save_pretrained(folder)
    special = {"eos_token": END_OF_TEXT, "pad_token": END_OF_TEXT}
    if bos:
        special["bos_token"] = END_OF_TEXT
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=128, clean_up_tokenization_spaces=False, **special
    ).save_pretrained(folder)


def load(folder: Path) -> tuple[Any, Any]:
    """The stored model in float32, and its ``tokenizers.Tokenizer``."""
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    return model.eval(), Tokenizer.from_file(str(folder / "tokenizer.json"))


def make(recipe: Recipe, *, out: Path, console: Console) -> Behaviours:
    """The whole of it: tokenizer, training, measurement, card. ``out`` appears only when all is done."""
    tokenizer = build_tokenizer(seed=recipe.seed)
    trainer = train(recipe, tokenizer, console=console)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{recipe.name}-") as name:
        folder = Path(name) / recipe.name
        save(trainer.model, tokenizer, folder, bos=recipe.bos)
        stored, tokenizer = load(folder)
        figures = measure(stored, tokenizer, bos=recipe.bos)
        _say(console, figures)
        import transformers

        training = {
            "recipe": asdict(recipe),
            "parameters": sum(p.numel() for p in stored.parameters()),
            "first_steps": trainer.first_steps,
            "minutes": round(trainer.seconds / 60, 1),
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__.split("+")[0],
                "transformers": transformers.__version__,
            },
        }
        record = {"model": recipe.name, "training": training, "behaviours": figures.as_dict()}
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        (folder / "behaviours.json").write_text(text, encoding="utf-8")
        write_card(folder)
        if out.exists():
            shutil.rmtree(out)
        os.replace(folder, out)
    trainer.file.unlink(missing_ok=True)
    return figures


def main() -> None:
    """The command line: see the top of this file."""
    parser = argparse.ArgumentParser(
        prog="python -m interp.zoo.making.train", description="Train a demo model."
    )
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=None, help="training steps (default: the recipe's)")
    parser.add_argument(
        "--out", type=Path, default=None, help="folder of the model (default: in the package)"
    )
    options = parser.parse_args()
    base = RECIPES[options.name]
    recipe = Recipe(**{**asdict(base), "seed": options.seed, "steps": options.steps or base.steps})
    console = Console(soft_wrap=True, highlight=False)
    out = options.out or FOLDER / options.name
    make(recipe, out=out, console=console)
    console.print(f"wrote {out}")


if __name__ == "__main__":
    main()
