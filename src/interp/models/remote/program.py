"""What runs on the other machine: one function, sent as its source, which may name nothing but torch.

`interp.models.remote.passes` says what it is told. It does there what `Taps` and
`HuggingFaceModel.through` do here.
"""

from __future__ import annotations

from typing import Any

import torch


def run_there(model: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """Read and edit activations of a model that is being traced by nnsight.

    Args:
        model: nnsight's envoy of the causal language model, inside a trace.
        asked: ``stops``, the places to halt at in the order in which the pass reaches them; ``logits``,
            None or (positions, columns), each None for all; ``unembed``, None or vectors [row, d_model] and
            the paths of final norm and unembedding.

    Returns what was read: a tensor for each stop that has ``read``, in their order, and the logits.
    """

    def part(root: Any, path: str) -> Any:
        for name in path.split("."):
            root = root[int(name)] if name.isdigit() else getattr(root, name)
        return root

    def edited(value: Any, edit: dict[str, Any]) -> Any:
        index = tuple(i if isinstance(i, slice) else i.to(value.device) for i in edit["index"])
        block, new = value[index], value.clone()
        if edit["op"] == "zero":
            made = torch.zeros_like(block)
        elif edit["op"] == "mean":
            means = torch.stack([value[row, :length].mean(0) for row, length in edit["rows"]])[:, None]
            made = (means if edit["heads"] is None else means[:, :, edit["heads"]]).expand_as(block)
        else:
            operand = torch.as_tensor(edit["value"]).to(dtype=block.dtype, device=block.device)
            if edit["op"] == "set":
                made = operand.expand_as(block)
            elif edit["op"] == "add":
                made = block + operand
            elif edit["op"] == "scale":
                made = block * operand
            else:  # project_out
                unit = operand / operand.norm(dim=-1, keepdim=True)
                made = block - (block * unit).sum(-1, keepdim=True) * unit
        new[index] = made
        return new

    read = []
    for stop in asked["stops"]:
        module = part(model, stop["path"])
        whole = module.input if stop["side"] == "input" else module.output
        own = whole[0] if isinstance(whole, tuple) else whole
        usual = own
        if usual.ndim == 2:  # OPT runs its MLP on all tokens at once: [batch * pos, d_model]
            usual = usual.unflatten(0, (asked["n_rows"], -1))
        if stop["heads"]:
            usual = usual.unflatten(-1, (stop["heads"], -1))
        if stop["scale"] != 1.0:
            usual = usual * stop["scale"]
        new = usual
        for edit in stop["edits"]:
            new = edited(new, edit)
        if stop["read"]:
            read.append(new.detach().clone().cpu())
        if not stop["edits"]:
            continue
        if stop["scale"] != 1.0:
            new = new / stop["scale"]
        new = new.reshape(own.shape)
        if stop["in_place"]:  # the residual sum reads the same tensor
            own.copy_(new)
        elif stop["side"] == "input":
            module.input = new
        else:
            module.output = (new, *whole[1:]) if isinstance(whole, tuple) else new

    logits = None
    if asked["unembed"] is not None:
        norm, head = (part(model, asked["unembed"][name]) for name in ("norm", "head"))
        like = norm.input  # where it computes, and in which precision
        vectors = asked["unembed"]["vectors"].to(device=like.device, dtype=like.dtype)
        logits = head(norm(vectors)).detach().cpu()
    if asked["logits"] is not None:
        positions, columns = asked["logits"]
        found = model.output.logits.detach()
        found = found if positions is None else found[:, positions]
        logits = (found if columns is None else found[..., columns]).cpu()
    return {"read": read, "logits": logits}
