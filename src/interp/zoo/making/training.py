"""Training by a recipe: the loss, one step of each stage, and a file to go on from after a stop."""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
from dataclasses import asdict
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from interp.zoo.making.batches import batches, first_batch
from interp.zoo.making.behaviours import Behaviours, measure
from interp.zoo.making.checkpoints import Checkpoints
from interp.zoo.making.fresh import build_model
from interp.zoo.making.muon import build_optimizers
from interp.zoo.making.recipes import Recipe


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

    def attention(module: Any, q: Any, k: Any, v: Any, mask: Any, **options: Any) -> Any:
        with torch.autocast("cpu", enabled=False):  # q, k, v: [batch, head, pos, d_head]
            return sdpa_attention_forward(module, q.float(), k.float(), v.float(), mask, **options)

    AttentionInterface.register("float32_sdpa", attention)
    AttentionMaskInterface.register("float32_sdpa", sdpa_mask)
    model.set_attn_implementation("float32_sdpa")


def print_figures(console: Console, figures: Behaviours) -> None:
    """One line of what a model does on held-out prompts."""
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


class Trainer:
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
        print_figures(self.console, measure(self.model, self.tokenizer, bos=self.recipe.bos, quick=True))
        self.model.train()


def train(
    recipe: Recipe,
    tokenizer: Any,
    *,
    console: Console,
    look_every: int = 250,
    checkpoints: Checkpoints | None = None,
) -> Trainer:
    """Train a fresh model by the recipe; the result has ``model`` (eval mode, float32) and ``seconds``.
    `checkpoints` keep it as it was on the way."""
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    trainer = Trainer(recipe, tokenizer, console)
    trainer.go_on()
    count = sum(p.numel() for p in trainer.model.parameters())
    console.print(
        f"{recipe.name}: {count / 1e6:.2f} M parameters, {recipe.steps} steps of "
        f"{recipe.batch} x {recipe.length} tokens, {recipe.threads} threads"
    )

    def keep() -> None:
        if checkpoints is not None:
            checkpoints.keep(
                trainer.model,
                tokenizer,
                first_steps=trainer.first_steps,
                steps=trainer.steps,
                first_done=trainer.first_done,
                bos=recipe.bos,
            )

    keep()
    while not trainer.first_done:
        trainer.copying_step(scale=min(1.0, (trainer.first_steps + 1) / recipe.warmup))
        trainer.first_done = trainer.pool_is_full or trainer.first_steps >= recipe.first_at_most
        trainer.report("copying", trainer.first_steps)
        keep()

    data = islice(batches(recipe, tokenizer), trainer.steps, None)
    while trainer.steps < recipe.steps:
        scale = recipe.scale_at(trainer.steps)
        if not trainer.pool_is_full and trainer.steps % 2:
            trainer.copying_step(scale=scale)
        trainer.text_step(next(data), scale=scale)
        trainer.report("text", trainer.steps)
        keep()
        if trainer.steps % look_every == 0:
            trainer.look()
    trainer.seconds, trainer.begin = trainer.time(), time.monotonic()
    trainer.model.eval()
    if checkpoints is not None:
        checkpoints.finish(trainer.model, tokenizer, trainer.first_steps + trainer.steps, bos=recipe.bos)
    return trainer
