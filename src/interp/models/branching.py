"""The exact patching sweep at close to the cost of its arithmetic.

All cells of a sweep are branches of one base run. A branch equals the base run below the layer of its first
edit and, the model being causal, at every position before it. So it pays only for what it changes:

1. One base run keeps, for each layer, what it read and with which arguments it was called, and its keys,
   values and mask.
2. A branch joins at the layer of its first edit, with the base run's residual stream there. Where its edits
   in that layer act on single rows (an attention or MLP output, a head's z), it brings these rows alone.
3. In the next layer it carries every position from its first edited one on. Branches with the same rows
   make a group; all groups travel together as one packed batch [1, rows, d_model] through the model's own
   decoder layers, so that a linear layer sees one large product.
4. Attention is the one place where rows of a branch meet: there each group gets the base run's keys and
   values, with its own in their places, and the rows of the base run's mask (causal, sliding, biased), and
   goes through the architecture's own eager attention (soft caps, sinks, scales).
5. In the last layer, positions that are not read out only matter as keys and values: the layer is called
   once to get these, and left there, and once more for the positions of each branch that are read.
6. Only these are unembedded, and only the columns that the readout needs, where it names them.

A branch all of whose edits set what is there already, bit for bit, or that edits only what is not read, is
the base run and costs nothing. The packed batch is cut into chunks that fit the memory (`models/memory.py`).
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import gelu
from transformers.activations import NewGELUActivation

from interp.edits import Edit
from interp.errors import InputError, first_line
from interp.models.editing import Key, Taps, apply_edit
from interp.models.layouts import embedding_scale
from interp.models.memory import Need
from interp.models.self_check import ROUNDING
from interp.models.transformers_backend import Pass, mix
from interp.progress import listening, report
from interp.readout import Readout
from interp.sites import Address
from interp.tokens import Tokens

if TYPE_CHECKING:
    from interp.models.transformers_backend import TransformersModel

#: Sites at which an edit of some rows leaves the other rows of the same layer as they were.
ROW_BY_ROW = frozenset({"q", "pattern", "z", "attn_out", "resid_mid", "mlp_act", "mlp_out"})
#: Sites whose edits act between two layers: on what the layer below wrote and this one reads.
BETWEEN = frozenset({"embed", "resid_post", "resid_pre"})
#: Of the packed batch, at most. Linear layers are at full speed with some hundred rows already, and with
#: several times these, moving through memory what lies between them made sweeps slower.
ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Branch:
    """One cell of a sweep, made ready: edits with positions counted from the start, and where it joins."""

    number: int  # its place in the sweep
    edits: dict[Key, tuple[Edit, ...]]
    joins: int  # the layer in which its first edit acts; n_layers: after the last one
    first: int  # its first edited position: every later one is carried
    rows: tuple[int, ...]  # what it carries in the layer in which it joins
    changes: frozenset[int]  # positions at which the last residual stream may differ from the base run's
    late: bool  # whether it edits what the last layer writes, so that its rows cannot be left out there


@dataclass
class Group:
    """Branches that carry the same positions, one after the other in the packed batch."""

    rows: tuple[int, ...]
    branches: list[Branch] = field(default_factory=list)
    #: Those of the rows that are read out, where the last layer is called for them alone.
    asking: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Rows of the packed batch."""
        return len(self.rows) * len(self.branches)


class Recording(Pass):
    """The base run: what each layer read, its arguments, its keys and values and its mask."""

    def __init__(self, taps: Taps) -> None:
        super().__init__(taps)
        self.calls: list[tuple[tuple, dict[str, Any]]] = []
        self.keys: dict[int, Tensor] = {}
        self.values: dict[int, Tensor] = {}
        self.masks: dict[int, Tensor | None] = {}

    def attend(
        self, module: Any, eager: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        layer = module.layer_idx
        self.keys[layer], self.values[layer], self.masks[layer] = k, v, mask
        return super().attend(module, eager, q, k, v, mask, **kwargs)


class Base:
    """One prompt's run, from which branches set out."""

    def __init__(self, model: TransformersModel, tokens: Tokens, keys: Iterable[Key]) -> None:
        self.model, self.tokens = model, tokens
        self.n_pos = tokens.lengths[0]
        n_layers = model.arch.n_layers
        wanted = {*keys, *(("resid_pre", layer) for layer in range(n_layers)), ("resid_post", n_layers - 1)}
        self.taps = Taps([Address(*key) for key in wanted], (), tokens.lengths)
        self.recording = Recording(self.taps)
        with model.borrowed(self.recording, self.taps.keys, 1):
            handles = [
                layer.register_forward_pre_hook(self._keep, with_kwargs=True) for layer in model.layers
            ]
            try:
                ids = tokens.ids.to(model.device)
                model.hf_model.base_model(input_ids=ids, use_cache=False)
            finally:
                for handle in handles:
                    handle.remove()
        self.resid = [self.taps.values["resid_pre", layer] for layer in range(n_layers)]
        self.resid.append(self.taps.values["resid_post", n_layers - 1])  # [1, pos, d_model] each

    def _keep(self, _: Any, args: tuple, kwargs: dict[str, Any]) -> None:
        self.recording.calls.append((args[1:], {k: v for k, v in kwargs.items() if k != "hidden_states"}))

    def call(self, layer: int, x: Tensor, rows: list[int]) -> Tensor:
        """The decoder layer on packed rows [1, rows, d_model], which stand at these positions."""
        args, kwargs = self.recording.calls[layer]
        positions = torch.tensor(rows, device=x.device)

        def here(value: Any) -> Any:
            if isinstance(value, tuple | list):
                return type(value)(here(item) for item in value)
            # rotary angles and position ids are [1, pos, ...]; a mask is [1, 1, pos, pos], and ours to apply
            if isinstance(value, Tensor) and value.ndim in (2, 3) and value.shape[:2] == (1, self.n_pos):
                return value[:, positions]
            return value

        output = self.model.layers[layer](x, *map(here, args), **{k: here(v) for k, v in kwargs.items()})
        return output[0] if isinstance(output, tuple) else output

    def changes_nothing(self, edits: Sequence[Edit]) -> bool:
        """Whether all edits set what is there already, bit for bit."""

        def same(edit: Edit) -> bool:
            key = (edit.address.site, edit.address.layer)
            if edit.op != "set" or key not in self.taps.values:
                return False
            value = self.taps.values[key]
            return torch.equal(apply_edit(value, edit, self.tokens.lengths), value)

        return all(map(same, edits))

    def read(self, readout: Readout) -> Tensor:
        """The base run's last residual stream where it is read out, [1, position, d_model]."""
        return self.resid[-1][:, list(readout.positions)]


class KeysAndValues(Exception):
    """Thrown out of a layer that was called for its keys and values alone."""

    def __init__(self, k: Tensor, v: Tensor) -> None:
        super().__init__()
        self.k, self.v = k, v  # [1, kv_head, rows, d_head] each


class Packed(Pass):
    """The pass of all branches together: visits and attention, group by group."""

    def __init__(self, base: Base, branches: Sequence[Branch]) -> None:
        self.base = base
        self.groups: list[Group] = []
        self.edited = {key for branch in branches for key in branch.edits}
        #: Whether to throw the keys and values of the layer that comes.
        self.leave = False
        #: Those of the last layer, where only the positions that are read out ask.
        self.kept: KeysAndValues | None = None

    def blocks(self) -> Iterator[tuple[Group, Branch, slice]]:
        """Each branch and its rows in the packed batch."""
        start = 0
        for group in self.groups:
            for branch in group.branches:
                yield group, branch, slice(start, start + len(group.rows))
                start += len(group.rows)

    def visit(self, site: str, layer: int | None, value: Tensor) -> Tensor:
        """Carry out each branch's edits at a site on its rows of ``value`` [1, rows, ...]."""
        if (site, layer) not in self.edited:
            return value
        edited = None
        for group, branch, where in self.blocks():
            for edit in branch.edits.get((site, layer), ()):
                edited = value.clone() if edited is None else edited
                edited[:, where] = apply_edit(edited[:, where], _within(edit, group.rows), (len(group.rows),))
        return value if edited is None else edited

    def attend(
        self, module: Any, eager: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """q [1, head, rows, d_head], k and v [1, kv_head, rows, d_head]: packed, as the layer made them."""
        layer, record = module.layer_idx, self.base.recording
        if self.kept is None:
            q, k, v = self.visit_qkv(layer, q, k, v)
        else:
            k, v = self.kept.k, self.kept.v
        if self.leave:
            raise KeysAndValues(k, v)
        whole = record.masks[layer]
        outputs, start, asked = [], 0, 0
        for group in self.groups:
            n, stop = len(group.branches), start + group.size
            queries = group.rows if self.kept is None else group.asking
            own_q = q[0, :, asked : asked + n * len(queries)].unflatten(1, (n, -1)).transpose(0, 1)
            own_k, own_v = (  # [branch, kv_head, row, d_head]; own_q is [branch, head, query, d_head]
                x[0, :, start:stop].unflatten(1, (n, -1)).transpose(0, 1) for x in (k, v)
            )
            free = ("pattern", layer) in self.edited  # a pattern may be set to look anywhere
            last = self.base.n_pos if free else group.rows[-1] + 1  # else no row looks beyond itself
            all_k = _put(record.keys[layer][:, :, :last], own_k, group.rows)  # [branch, kv_head, pos, d_head]
            all_v = _put(record.values[layer][:, :, :last], own_v, group.rows)
            own_mask = None if whole is None else whole[:, :, _slice(queries), :last]  # [1, 1, row, pos]
            z, pattern = eager(module, own_q, all_k, all_v, own_mask, **kwargs)
            edited = self._patterns(group, layer, pattern)
            if edited is not pattern:
                z = mix(edited, all_v)
            outputs.append(z.reshape(1, -1, *z.shape[2:]))  # [1, branch * query, head, d_head]
            start, asked = stop, asked + n * len(queries)
        return torch.cat(outputs, dim=1), q  # no layer that calls this reads the pattern

    def _patterns(self, group: Group, layer: int, pattern: Tensor) -> Tensor:
        """The group's patterns [branch, head, row, key] after its edits."""
        if ("pattern", layer) not in self.edited:
            return pattern
        edited = None
        for index, branch in enumerate(group.branches):
            for edit in branch.edits.get(("pattern", layer), ()):
                edited = pattern.clone() if edited is None else edited
                one = edited[index : index + 1]
                edited[index : index + 1] = apply_edit(one, _within(edit, group.rows), (len(group.rows),))
        return pattern if edited is None else edited


def sweep(
    model: TransformersModel,
    tokens: Tokens,
    branches: Sequence[Sequence[Edit]],
    readout: Readout,
    *,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Tensor:
    """`Model.sweep` by branching.

    ``rows_at_once`` bounds the packed batch, beside `Model.memory`. Raises `InputError` where not even one
    branch fits.
    """
    n_pos = tokens.lengths[0]
    readout = Readout(readout.of, tuple(p % n_pos for p in readout.positions), readout.columns)
    keys = {(edit.address.site, edit.address.layer) for branch in branches for edit in branch}
    base = Base(model, tokens, keys)
    ready = [
        _make_ready(number, edits, base)
        for number, edits in enumerate(branches)
        if not base.changes_nothing(edits)
    ]
    waiting = sorted(
        (branch for branch in ready if not branch.changes.isdisjoint(readout.positions)),
        key=lambda branch: (branch.late, branch.first, branch.joins),
    )
    need = Need.of(model, n_pos, readout)
    budget = need.budget(model, largest=max((n_pos - branch.first for branch in waiting), default=0))
    found = _read(model, readout, base.read(readout))  # [1, ...]
    values = found.expand(len(branches), *found.shape[1:]).clone()
    while waiting:
        report("branches", len(branches) - len(waiting), len(branches))
        chunk = first_chunk(waiting, n_pos, rows_at_once, need, budget)
        try:
            found = _read(model, readout, _run(base, chunk, readout))
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            if len(chunk) == 1:
                raise InputError(
                    f"There is no memory for one branch of {n_pos} positions; shorten the prompt."
                ) from error
            rows_at_once = sum(n_pos - branch.first for branch in chunk) // 2
            continue
        values[[branch.number for branch in chunk]] = found
        waiting = waiting[len(chunk) :]
    report("branches", len(branches), len(branches))
    return values


def _is_out_of_memory(error: Exception) -> bool:
    # torch has a class of its own for devices; on the CPU it is a RuntimeError that says so
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in str(error)


def _read(model: TransformersModel, readout: Readout, resid: Tensor) -> Tensor:
    """The readout of last residual streams [branch, position, d_model]."""
    return readout.of(model._unembed(resid, readout.columns))


def first_chunk(
    waiting: list[Branch], n_pos: int, rows_at_once: int, need: Need, budget: float
) -> list[Branch]:
    """The first of the branches that wait, as many as fill a packed batch of so many rows or bytes; at least
    one. Those that edit the last layer's outputs (they come last) are not mixed with others.

    They are in the order of their first position: those that carry the same ones share their attention.
    """
    rows = 0
    for count, branch in enumerate(waiting):
        rows += n_pos - branch.first
        full = rows > rows_at_once or need.bytes(rows=rows, branches=count + 1) > budget
        if count and (full or branch.late != waiting[0].late):
            return waiting[:count]
    return waiting


def _run(base: Base, branches: list[Branch], readout: Readout) -> Tensor:
    """The last layer's output where each branch is read out, [branch, position, d_model]."""
    model, n_layers = base.model, base.model.arch.n_layers
    this = Packed(base, branches)
    keys = {key for key in this.edited if key[0] not in BETWEEN}
    x = base.resid[0][:, :0]  # [1, 0 rows, d_model]
    read_alone = not any(branch.late for branch in branches)
    with model.borrowed(this, keys, 1), _one_kernel_gelu(model):
        for layer in range(min(branch.joins for branch in branches), n_layers + 1):
            x = _regroup(this, x, layer, [branch for branch in branches if branch.joins == layer])
            if layer == n_layers:
                break
            rows = [row for group in this.groups for _ in group.branches for row in group.rows]
            if layer < n_layers - 1 or not read_alone:
                x = base.call(layer, x, rows)
                continue
            this.leave = True
            try:
                base.call(layer, x, rows)
            except KeysAndValues as thrown:
                this.leave, this.kept = False, thrown
            for group in this.groups:
                group.asking = tuple(row for row in group.rows if row in readout.positions)
            places = [
                where.start + group.rows.index(row)
                for group, _, where in this.blocks()
                for row in group.asking
            ]
            x = base.call(layer, x[:, places], [rows[place] for place in places])
            for group in this.groups:
                group.rows = group.asking
    found = base.read(readout).expand(len(branches), -1, -1).clone()  # [branch, position, d_model]
    index = {branch.number: i for i, branch in enumerate(branches)}
    for group, branch, where in this.blocks():
        for i, position in enumerate(readout.positions):
            if position in group.rows:
                found[index[branch.number], i] = x[0, where.start + group.rows.index(position)]
    return found


@contextmanager
def _one_kernel_gelu(model: TransformersModel) -> Iterator[None]:
    """GPT-2's gelu_new by torch's kernel for the same function, for as long as the context lasts.

    transformers writes it out in eight steps, each of which goes through memory; with hundreds of rows they
    take a fifth of a sweep. The values are the same but for rounding.
    """
    written_out = [module for module in model.hf_model.modules() if type(module) is NewGELUActivation]
    for module in written_out:
        module.forward = partial(gelu, approximate="tanh")
    try:
        yield
    finally:
        for module in written_out:
            del module.forward


def _regroup(this: Packed, x: Tensor, layer: int, joining: list[Branch]) -> Tensor:
    """The packed batch for `layer`: every position that the branches so far carry from here on, and the rows
    of those that join; after the edits that act between the layers."""
    base = this.base
    stream = base.resid[layer]  # [1, pos, d_model]
    parts: dict[tuple[int, ...], list[Tensor]] = {}
    groups: dict[tuple[int, ...], Group] = {}

    def add(rows: tuple[int, ...], branches: list[Branch], own: Tensor) -> None:
        for index, branch in enumerate(branches):
            between = (("resid_post", layer - 1), ("resid_pre", layer))
            for edit in (edit for key in between for edit in branch.edits.get(key, ())):
                local = apply_edit(own[index : index + 1], _within(edit, rows), (len(rows),))
                own[index : index + 1] = local
        groups.setdefault(rows, Group(rows)).branches.extend(branches)
        parts.setdefault(rows, []).append(own.reshape(1, -1, own.shape[-1]))

    start = 0
    for group in this.groups:
        rows = group.rows if this.kept else tuple(range(group.rows[0], base.n_pos))
        block = x[0, start : start + group.size]
        own = block.unflatten(0, (len(group.branches), -1))  # [branch, row, d_model]
        start += group.size
        if rows != group.rows:  # the others were the base run's until now
            own = _put(stream[:, rows[0] :], own, [row - rows[0] for row in group.rows])
        add(rows, group.branches, own)
    for branch in joining:
        own = stream[:, list(branch.rows)]  # a copy
        if layer == 0 and ("embed", None) in branch.edits:
            own = own + _shift_of_stream(branch.edits["embed", None], base)[:, list(branch.rows)]
        add(branch.rows, [branch], own)
    this.groups = list(groups.values())
    return torch.cat([block for rows in groups for block in parts[rows]], dim=1)


def _shift_of_stream(edits: Sequence[Edit], base: Base) -> Tensor:
    """What edits of the token embedding add to the first residual stream, [1, pos, d_model]."""
    before = after = base.taps.values["embed", None]
    for edit in edits:
        after = apply_edit(after, edit, (base.n_pos,))
    return (after - before) * embedding_scale(base.model.hf_model)


def _make_ready(number: int, edits: Sequence[Edit], base: Base) -> Branch:
    """Where a branch joins, and what it carries."""
    n_pos, n_layers = base.n_pos, base.model.arch.n_layers
    by_key: dict[Key, tuple[Edit, ...]] = {}
    acts: list[tuple[int, str, tuple[int, ...]]] = []  # layer, site, positions
    every = tuple(range(n_pos))
    for edit in edits:
        address = edit.address
        positions = every
        if address.positions is not None:
            positions = tuple(p % n_pos for p in address.positions)
            place = Address(address.site, address.layer, positions, address.heads)
            edit = Edit(edit.op, place, edit.value)
        key = (address.site, address.layer)
        by_key[key] = (*by_key.get(key, ()), edit)
        layer = 0 if address.layer is None else address.layer + (address.site == "resid_post")
        acts.append((layer, address.site, every if edit.op == "mean" else tuple(sorted(positions))))
    joins = min(layer for layer, _, _ in acts)
    first = min(positions[0] for _, _, positions in acts)
    here = [(site, positions) for layer, site, positions in acts if layer == joins]
    rows = tuple(range(first, n_pos))
    if joins < n_layers and all(site in ROW_BY_ROW for site, _ in here):
        rows = tuple(sorted({position for _, positions in here for position in positions}))
        if rows[0] > first:  # a later edit reaches further back: rows are completed from the first one on
            rows = (first, *rows)
    outputs = {(site, n_layers - 1) for site in (*ROW_BY_ROW, "resid_post")}
    changes = set(range(first, n_pos))
    if by_key.keys() <= outputs:  # no position sees another any more
        changes = {position for _, _, positions in acts for position in positions}
    return Branch(number, by_key, joins, first, rows, frozenset(changes), not outputs.isdisjoint(by_key))


def _within(edit: Edit, rows: tuple[int, ...]) -> Edit:
    """The edit with its positions counted in `rows`, which hold all of them."""
    address = edit.address
    if address.positions is None:
        return edit
    places = tuple(rows.index(position) for position in address.positions)
    return Edit(edit.op, Address(address.site, address.layer, places, address.heads), edit.value)


def _put(base: Tensor, own: Tensor, places: Sequence[int]) -> Tensor:
    """`base` [1, ..., pos, width] once a branch, with its `own` [branch, ..., row, width] at these places."""
    whole = base.expand(own.shape[0], *base.shape[1:]).clone()
    whole[..., _slice(places), :] = own
    return whole


def _slice(places: Sequence[int]) -> slice | list[int]:
    """The same places, as a slice where they follow each other: torch copies these without an index."""
    first, last = places[0], places[-1]
    return slice(first, last + 1) if last - first + 1 == len(places) else list(places)


class AllVisited(Exception):
    """Thrown out of a layer of which all that is wanted has been seen."""


class PartOfLayer(Pass):
    """A pass that ends with the last site that `taps` want: what comes after is not computed."""

    def __init__(self, taps: Taps) -> None:
        self.taps = taps

    def visit(self, site: str, layer: int | None, value: Tensor) -> Tensor:
        value = self.taps.visit(site, layer, value)
        if self.taps.all_visited:
            raise AllVisited
        return value


def run_layer(base: Base, layer: int, taps: Taps, n_rows: int) -> None:
    """`Model.run_layer`: the decoder layer called by itself, with the arguments of the base run."""
    model = base.model
    args, kwargs = base.recording.calls[layer]
    x = (
        base.resid[layer].expand(n_rows, -1, -1).clone()
    )  # [row, pos, d_model]; what `taps` set takes its place
    with suppress(AllVisited), model.borrowed(PartOfLayer(taps), taps.keys, n_rows):
        model.layers[layer](x, *args, **kwargs)


def layers_agree(model: TransformersModel, tokens: Tokens) -> bool:
    """Whether each layer, called by itself on two copies of what it read, writes what it wrote in the run of
    the whole model; says so where not."""
    base = Base(model, Tokens(tokens.ids[:1], tokens.lengths[:1]), ())
    why, worst = "", 0.0
    for layer in range(model.arch.n_layers):
        taps = Taps([Address("resid_post", layer)], (), tokens.lengths[:1] * 2)
        try:
            run_layer(base, layer, taps, 2)
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            why = first_line(error)
            break
        wrote, expected = taps.values["resid_post", layer], base.resid[layer + 1]
        worst = max(worst, ((wrote - expected).abs().max() / expected.abs().max()).item())
    if not why and worst <= ROUNDING[model.dtype]:
        return True
    warnings.warn(
        f"{model.identity.name}: a layer by itself differs from the whole model "
        f"({why or f'off by {worst:.1g} of the largest entry'}); layers are run in whole forward passes.",
        stacklevel=2,
    )
    return False


def agrees(model: TransformersModel, tokens: Tokens, branches: Sequence[Sequence[Edit]]) -> bool:
    """Whether some branches, drawn at random, give the logits of plain forward passes; says so where not."""
    drawn = random.Random(0).sample(list(branches), min(4, len(branches)))
    if not drawn:
        return True
    everything = Readout.logits(range(tokens.lengths[0]))
    try:
        with listening(lambda *_: None):  # these few are no progress of the sweep itself
            ours = sweep(model, tokens, drawn, everything).cpu()
    except (RuntimeError, TypeError, ValueError, IndexError) as error:  # layers that take no packed batch
        why = first_line(error)
    else:
        with listening(lambda *_: None):
            plain = model.sweep(tokens, drawn, everything, exact=True).values
        off = ((ours - plain).abs().max() / plain.abs().max()).item()
        if off <= ROUNDING[model.dtype]:
            return True
        why = f"off by {off:.1g} of the largest logit"
    warnings.warn(
        f"{model.identity.name}: branches differ from plain forward passes ({why}); "
        "its sweeps take the plain, slower way.",
        stacklevel=2,
    )
    return False
