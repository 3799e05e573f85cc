"""The pages of the site that are made from something else: a page a method and the reference from docstrings,
and what lies outside of this folder. A hook of mkdocs (`make docs`).

Links from the pages of this folder to what lies outside of it lead to the pages made of it here.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

import interp
from interp.experiments.base import all_experiments
from interp.results import _KINDS as KINDS
from interp.runs import _know_all_results

ROOT = Path(__file__).parents[1]
#: What lies outside of docs/, and the page that it becomes.
OUTSIDE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    **{
        f"src/interp/zoo/{model}/{part}README.md": f"zoo/{model}{part and '-' + part.strip('/')}.md"
        for model in ("demo-gpt2", "demo-qwen3")
        for part in ("", "sae/", "transcoders/", "cross_layer/")
    },
}
#: Where an experiment has another name than the function that it calls.
FUNCTION = {"train_jacobian_lens": "fit_jacobian_lens", "prompt_features": "prompt_features"}
#: Rooms of the library, as the navigation calls them.
ROOMS = {
    "lens": "Lenses",
    "heads": "Heads",
    "patching": "Patching and paths",
    "attribution": "Attribution",
    "ablation": "Ablation",
    "circuits": "Circuits",
    "features": "Features",
    "graphs": "Attribution graphs",
    "saes": "Sparse autoencoders",
    "steering": "Steering",
    "probing": "Probes and directions",
    "knowledge": "Knowledge",
    "generation": "Generation",
    "comparison": "Two models",
    "studies": "Studies",
}
#: Pages of the reference, and the modules whose public names stand there.
REFERENCE = {
    "Models and tokens": (
        "interp.models",
        "interp.tokens",
        "interp.sampling",
        "interp.resume",
        "interp.errors",
    ),
    "Sites, edits, readouts": ("interp.sites", "interp.edits", "interp.readout", "interp.answers"),
    "Prompts and datasets": ("interp.tasks", "interp.text"),
    "Lenses": ("interp.methods.lens",),
    "Patching, ablation, steering": (
        "interp.methods.patching",
        "interp.methods.ablation",
        "interp.methods.steering",
    ),
    "Heads and attribution": ("interp.methods.heads", "interp.methods.attribution"),
    "Circuits": ("interp.methods.circuits", "interp.methods.common", "interp.methods.studies"),
    "Probes, directions, knowledge": ("interp.methods.probing", "interp.methods.knowledge"),
    "Sparse autoencoders and features": ("interp.saes", "interp.methods.features", "interp.figures"),
    "Attribution graphs": ("interp.methods.graphs",),
    "Generation": ("interp.methods.generation",),
    "Two models": ("interp.methods.comparison",),
    "Many machines, large models": ("interp.workers", "interp.on_ray", "interp.plans"),
}
#: What is public and has no name in `interp` itself.
BESIDE = {
    "Results": (
        "interp.results.Result",
        "interp.results.Estimate",
        "interp.results.Pairs",
        "interp.provenance.Provenance",
    ),
    "Models and tokens": ("interp.models.cache.Cache", "interp.architecture.Architecture"),
    "Notebooks": ("interp.widgets", "interp.notebooks.notebook_of", "interp.notebooks.compare"),
}


def on_config(config: Any) -> Any:
    """The made pages take their places in the navigation."""
    sections = {title: section for entry in config.nav for title, section in entry.items()}
    sections["Methods"] += [
        {title: [{_title(name): f"methods/{name}.md"} for name in names]}
        for title, names in _methods().items()
    ]
    sections["Reference"] += [{title: _reference_path(title)} for title in _reference()]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the made pages."""
    pages = {page: (ROOT / path).read_text(encoding="utf-8") for path, page in OUTSIDE.items()}
    pages = {page: _from_outside(path, pages[page]) for path, page in OUTSIDE.items()}
    pages |= {f"methods/{name}.md": _method(name) for names in _methods().values() for name in names}
    pages |= {_reference_path(title): _names(title, names) for title, names in _reference().items()}
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links from this folder to what lies outside of it."""
    here = posixpath.dirname(page.file.src_uri)

    def link(match: re.Match[str]) -> str:
        target, anchor = match[1], match[2] or ""
        outside = OUTSIDE.get(posixpath.normpath(posixpath.join("docs", here, target)))
        return f"]({posixpath.relpath(outside, here or '.')}{anchor})" if outside else match[0]

    return re.sub(r"\]\(([^)#:\s]+)(#[^)\s]*)?\)", link, markdown)


# ---- methods ----


def _methods() -> dict[str, list[str]]:
    """The experiments of each room, in the order of the rooms."""
    found: dict[str, list[str]] = {title: [] for title in ROOMS.values()}
    for name in sorted(all_experiments()):
        parts = _module(name).split(".")
        room = parts[2] if parts[1] == "methods" else parts[1]
        found.setdefault(ROOMS.get(room, room.capitalize()), []).append(name)
    return {title: names for title, names in found.items() if names}


def _module(experiment: str) -> str:
    return interp._HOME[FUNCTION.get(experiment, experiment)]


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize().replace("sae", "SAE").replace("Ioi", "Indirect objects (IOI)")


def _method(name: str) -> str:
    """The page of a method: what it asks, what its number means, and how it is run."""
    _know_all_results()
    experiment = all_experiments()[name]
    homes = {cls.__name__: f"{cls.__module__}.{cls.__name__}" for cls in KINDS.values()}
    results = [homes[name] for name in experiment.run.__annotations__["return"].split(" | ")]
    keys = "\n".join(
        f"| `{key}` | `{str(field.default)[:80]}` |" if not field.is_required() else f"| `{key}` | |"
        for key, field in experiment.config.model_fields.items()
    ).replace("PydanticUndefined", "")
    parts = (
        f"# {_title(name)}",
        experiment.about,
        f"::: {_module(name)}",
        f"## At the command line\n\n```bash\ninterp run {name}\n```",
        f"| key | default |\n|---|---|\n{keys}",
        "## What it gives",
        *(_shown(result, heading_level=3) for result in results),
    )
    return "\n\n".join(parts) + "\n"


# ---- reference ----


def _reference() -> dict[str, list[str]]:
    """The dotted names of each page of the reference."""
    pages: dict[str, list[str]] = {title: [] for title in (*REFERENCE, *BESIDE)}
    for name in sorted(set(interp.__all__) - {"__version__", "SITES"}, key=str.lower):
        home = interp._HOME[name]
        title = next((title for title, rooms in REFERENCE.items() if home.startswith(rooms)), "More")
        pages.setdefault(title, []).append(f"{home}.{name}")
    for title, names in BESIDE.items():
        pages[title] += names
    return pages


def _reference_path(title: str) -> str:
    return f"reference/{re.sub('[^a-z]+', '-', title.lower())}.md"


def _names(title: str, names: list[str]) -> str:
    return "\n\n".join((f"# {title}", *(_shown(name, heading_level=2) for name in names))) + "\n"


def _shown(name: str, *, heading_level: int) -> str:
    """The place of a dotted name's docstring."""
    options = f"      show_root_heading: true\n      heading_level: {heading_level}"
    return f"::: {name}\n    options:\n{options}\n"


# ---- what lies outside ----


def _from_outside(path: str, text: str) -> str:
    """Links of a page of the repository, as they are from the page that it becomes."""
    page = OUTSIDE[path]

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), match[1]))
        to = OUTSIDE.get(target, target.removeprefix("docs/") if target.startswith("docs/") else None)
        to = posixpath.relpath(to, posixpath.dirname(page) or ".") if to else None
        return f"]({to}{match[2] or ''})" if to else match[0]

    return re.sub(r"\]\(([^)#:\s]+)(#[^)\s]*)?\)", link, text)
