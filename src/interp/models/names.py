"""Models that go by a short name, and where their weights are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from interp.models.gguf.packages import GEMMA, is_installed

_PACKAGED = Path(__file__).parents[1] / "zoo"


@dataclass(frozen=True)
class Known:
    """A model that goes by a short name: its Hugging Face id, or a folder in the package."""

    name: str
    source: str
    about: str


def _known() -> dict[str, Known]:
    models = [
        Known("demo-gpt2", str(_PACKAGED / "demo-gpt2"), "small trained GPT-2, in the package"),
        Known("demo-qwen3", str(_PACKAGED / "demo-qwen3"), "small trained Qwen3, in the package"),
        Known(GEMMA.name, GEMMA.hub_id, "Gemma 3, 270 M; from the hub, or from the extra `real`"),
        Known("gpt2", "openai-community/gpt2", "GPT-2 small, 124 M"),
        Known("gpt2-medium", "openai-community/gpt2-medium", "GPT-2, 355 M"),
        Known("gpt2-large", "openai-community/gpt2-large", "GPT-2, 774 M"),
        Known("gpt2-xl", "openai-community/gpt2-xl", "GPT-2, 1.5 B"),
    ]
    for size in ("14m", "31m", "70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b"):
        models.append(Known(f"pythia-{size}", f"EleutherAI/pythia-{size}", f"Pythia, {size.upper()}"))
    for size in ("0.6B", "1.7B", "4B", "8B"):
        models.append(Known(f"qwen3-{size.lower()}", f"Qwen/Qwen3-{size}", f"Qwen3, {size}"))
    return {model.name: model for model in models}


KNOWN: dict[str, Known] = _known()


def is_local(known: Known) -> bool:
    """Whether the weights can be loaded without a download: in the package, in the local cache, or in
    packages that are installed."""
    packaged = Path(known.source)
    if packaged.is_absolute():
        return (packaged / "model.safetensors").is_file()
    return in_cache(known.source) or (known.name == GEMMA.name and is_installed(GEMMA))


def in_cache(source: str, revision: str | None = None, *, pickled: bool = False) -> bool:
    """Whether the hub's local cache has the weights of a Hugging Face id; as pickled files too, where these
    are allowed."""
    from huggingface_hub import try_to_load_from_cache

    files = ["model.safetensors", "model.safetensors.index.json"]
    files += ["pytorch_model.bin", "pytorch_model.bin.index.json"] if pickled else []
    return any(isinstance(try_to_load_from_cache(source, file, revision=revision), str) for file in files)
