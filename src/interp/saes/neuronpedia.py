"""The ids of SAEs at Neuronpedia (https://www.neuronpedia.org), and links to their features.

An SAE there has an id such as ``gpt2-small/8-res-jb``. SAELens writes it into ``cfg.json`` as
``neuronpedia_id``; of releases whose files are older than that, two are known here. Nothing here goes to the
network. `interp.methods.features.neuronpedia` writes dashboards.
"""

from __future__ import annotations

import json
from pathlib import Path

from interp.saes.releases import hub_place
from interp.saes.results import SAEIdentity
from interp.sites import Address

_RES_JB = "jbloom/GPT2-Small-SAEs-Reformatted"
_SPLITTING = "jbloom/GPT2-Small-Feature-Splitting-Experiment-Layer-8"


def neuronpedia_id(sae: SAEIdentity, source: str, *, folder: Path) -> str | None:
    """The id of an SAE at Neuronpedia; None where none is known.

    The SAE is that of `interp.load_sae(source)`, which lies in `folder`; what is recorded there counts first.
    """
    source = hub_place(source)
    from interp.saes.layout import CONFIG  # here, so that links are made without torch

    file = folder / CONFIG
    recorded = (
        json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    )  # other formats have none
    own = (recorded.get("metadata") or {}).get("neuronpedia_id") or recorded.get("neuronpedia_id")
    if own:
        return str(own)
    address = Address.parse(sae.site)
    if source.startswith(_RES_JB):
        if address.site == "resid_pre":
            return f"gpt2-small/{address.layer}-res-jb"
        if (address.site, address.layer) == ("resid_post", 11):
            return "gpt2-small/12-res-jb"
    if source.startswith(_SPLITTING):
        return f"gpt2-small/8-res_fs{sae.n_features}-jb"
    return None


def link(source: str, feature: int) -> str:
    """The page of a feature."""
    return f"https://www.neuronpedia.org/{source}/{feature}"
