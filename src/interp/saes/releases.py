"""Names of published dictionaries: ``RELEASE/ID``, as SAELens has them, and where on the hub each one is.

A row of `RELEASES` stands for all dictionaries that are named alike: of
``gemma-scope-{size}-res/layer_{layer}/width_{width}/average_l0_{l0}``, say, the sizes are listed and layers,
widths and sparsities are whatever the name says. So the table says where a dictionary would be, and not
whether it is there: the hub or its local cache does.

Names are those of SAELens (https://github.com/decoderesearch/SAELens, sae_lens/pretrained_saes.yaml) where it
has them; EleutherAI's releases go by the names of their repositories. Nothing here goes to the network, and
nothing loads torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from types import MappingProxyType

from interp.errors import InputError, nearest

#: What stands for a field of a name; ``{layer}`` itself is the pattern of `interp.load_transcoders`.
_FIELDS = MappingProxyType(
    {
        "layer": r"\d+|\{layer\}",
        "width": r"\d+[km]",
        "features": r"\d+",
        "l0": r"\d+",
        "size": r"small|medium|big",
        "more": r"(_seed_\d+|_affine)?",
    }
)
_BRACED = re.compile(r"\{(\w+)\}")
#: The end of a folder that is not named: the one whose mean L0 is closest to 100.
CANONICAL = "average_l0_canonical"


@dataclass(frozen=True, kw_only=True)
class Release:
    """Dictionaries that are named alike. `name` and `place` have fields in braces; `choices` are what a field
    of the release's own name may be."""

    name: str  # RELEASE/ID
    place: str  # org/repo:folder
    model: str
    about: str
    example: str
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    centred: bool = False  # trained on GPT-2 with centred weights, which its folders do not record

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return _compiled(self.name, self.choices)

    @cached_property
    def _place_pattern(self) -> re.Pattern[str]:
        return _compiled(self.place, self.choices)

    @property
    def releases(self) -> tuple[str, ...]:
        """The names of its releases, without ids."""
        return tuple(filled for filled, _ in self._each(self.name.partition("/")[0]))

    @property
    def repositories(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(filled for filled, _ in self._each(self.place.partition(":")[0])))

    @property
    def shown(self) -> str:
        """The name with what its fields may be."""
        listed = {name: "|".join(values) for name, values in self.choices.items()}
        return _BRACED.sub(lambda found: f"<{listed.get(found[1], found[1])}>", self.name)

    def _each(self, template: str) -> Iterator[tuple[str, dict[str, str]]]:
        names = [name for name in self.choices if f"{{{name}}}" in template]
        for values in product(*(self.choices[name] for name in names)):
            chosen = dict(zip(names, values, strict=True))
            yield _filled(template, chosen), chosen

    def place_of(self, name: str) -> str | None:
        """The place on the hub of a dictionary's name; None where it is no name of these."""
        found = self._pattern.fullmatch(name)
        return None if found is None else _filled(self.place, found.groupdict())

    def name_of(self, place: str) -> str | None:
        """The name of the dictionary at a place on the hub; None where it is none of these."""
        found = self._place_pattern.fullmatch(place)
        return None if found is None else _filled(self.name, found.groupdict())


def _compiled(template: str, choices: dict[str, tuple[str, ...]]) -> re.Pattern[str]:
    """A template as a regular expression; a field that comes twice is the same twice."""
    seen: set[str] = set()
    parts = []
    for number, part in enumerate(_BRACED.split(template)):
        if number % 2 == 0:
            parts.append(re.escape(part))
        elif part in seen:
            parts.append(f"(?P={part})")
        else:
            seen.add(part)
            wanted = "|".join(map(re.escape, choices[part])) if part in choices else _FIELDS[part]
            parts.append(f"(?P<{part}>{wanted})")
    return re.compile("".join(parts))


def _filled(template: str, values: dict[str, str]) -> str:
    return _BRACED.sub(lambda found: values.get(found[1], found[0]), template)


_SCOPE_2 = "layer_{layer}_width_{width}_l0_{size}{more}"
_WHAT = {
    ("res", 1): "residual stream", ("mlp", 1): "MLP outputs", ("att", 1): "heads (z)",
    ("res", 2): "residual stream", ("mlp", 2): "MLP outputs", ("att", 2): "attention outputs",
    ("transcoders", 2): "transcoders of MLPs",
}  # fmt: skip
_SITES_2 = {"res": "resid_post", "mlp": "mlp_out", "att": "attn_out", "transcoders": "transcoder"}


def _gemma_scope() -> Iterator[Release]:
    """Google DeepMind's, of Gemma 2 and Gemma 3."""
    sizes = {
        "res": ("2b-pt", "9b-pt", "9b-it", "27b-pt"),
        "mlp": ("2b-pt", "9b-pt"),
        "att": ("2b-pt", "9b-pt"),
    }
    for site, of in sizes.items():
        repo = f"google/gemma-scope-{{of}}-{site}"
        for suffix, ending, folder in (
            ("", "average_l0_{l0}", "average_l0_{l0}"),
            ("-canonical", "canonical", CANONICAL),
        ):
            yield Release(
                name=f"gemma-scope-{{of}}-{site}{suffix}/layer_{{layer}}/width_{{width}}/{ending}",
                place=f"{repo}:layer_{{layer}}/width_{{width}}/{folder}",
                choices={"of": of},
                model="Gemma 2, 2B to 27B",
                about=f"Gemma Scope, {_WHAT[site, 1]}" + (", the L0 closest to 100" if suffix else ""),
                example=f"gemma-scope-2b-pt-{site}{suffix}/layer_12/width_16k/"
                + ending.format(l0={"res": 82, "mlp": 108, "att": 85}[site]),
            )
    yield Release(
        name="gemma-scope-{of}-res/embedding/width_{width}/average_l0_{l0}",
        place="google/gemma-scope-{of}-res:embedding/width_{width}/average_l0_{l0}",
        choices={"of": ("2b-pt", "9b-pt")},
        model="Gemma 2, 2B to 27B",
        about="Gemma Scope, embeddings",
        example="gemma-scope-2b-pt-res/embedding/width_4k/average_l0_6",
    )
    of = tuple(f"{size}-{tuning}" for size in ("270m", "1b", "4b", "12b", "27b") for tuning in ("pt", "it"))
    for site, folder in _SITES_2.items():
        for suffix, layers in (("", "four layers"), ("-all", "all layers")):
            if site == "transcoders" and not suffix:
                continue  # a graph needs those of all layers
            yield Release(
                name=f"gemma-scope-2-{{of}}-{site}{suffix}/{_SCOPE_2}",
                place=f"google/gemma-scope-2-{{of}}:{folder}{suffix.replace('-', '_')}/{_SCOPE_2}",
                choices={"of": of},
                model="Gemma 3, 270M to 27B",
                about=f"Gemma Scope 2, {_WHAT[site, 2]}, {layers}",
                example=f"gemma-scope-2-270m-pt-{site}{suffix}/"
                f"layer_{'{layer}' if site == 'transcoders' else 12}_width_16k_l0_small",
            )


def _gpt2() -> Iterator[Release]:
    """Of GPT-2 small: Bloom's, McGrath's, and OpenAI's (Gao et al. 2024) in SAELens's layout."""
    splitting = "jbloom/GPT2-Small-Feature-Splitting-Experiment-Layer-8"
    for hook, layers in (("resid_pre", "{layer}"), ("resid_post", "11")):
        yield Release(
            name=f"gpt2-small-res-jb/blocks.{layers}.hook_{hook}",
            place=f"jbloom/GPT2-Small-SAEs-Reformatted:blocks.{layers}.hook_{hook}",
            model="GPT-2 small",
            about="Bloom 2024, residual stream" + (" behind the last layer" if hook == "resid_post" else ""),
            example=f"gpt2-small-res-jb/blocks.{'8' if hook == 'resid_pre' else '11'}.hook_{hook}",
            centred=True,
        )
    yield Release(
        name="gpt2-small-res-jb-feature-splitting/blocks.8.hook_resid_pre_{features}",
        place=f"{splitting}:blocks.8.hook_resid_pre_{{features}}",
        model="GPT-2 small",
        about="Bloom 2024, one layer in eight sizes",
        example="gpt2-small-res-jb-feature-splitting/blocks.8.hook_resid_pre_768",
        centred=True,
    )
    for site, what in (
        ("resid-mid", "stream behind attention"),
        ("resid-post", "residual stream"),
        ("mlp-out", "MLP outputs"),
        ("attn-out", "attention outputs"),
    ):
        hook = site.replace("-", "_")
        for width in ("32k", "128k"):
            file = ".pt" if (site, width) == ("resid-post", "32k") else ""  # a folder, for all that
            yield Release(
                name=f"gpt2-small-{site}-v5-{width}/blocks.{{layer}}.hook_{hook}",
                place=f"jbloom/GPT2-Small-OAI-v5-{width}-{site}-SAEs:v5_{width}_layer_{{layer}}{file}",
                model="GPT-2 small",
                about=f"OpenAI's (Gao et al. 2024), {what}",
                example=f"gpt2-small-{site}-v5-{width}/blocks.8.hook_{hook}",
            )


def _sparsify() -> Iterator[Release]:
    """EleutherAI's, by sparsify; an id is the module that is read."""
    for repo, model, module in (
        ("sae-llama-3-8b-32x", "Llama 3 8B", "layers.{layer}"),
        ("sae-llama-3-8b-32x-v2", "Llama 3 8B", "layers.{layer}"),
        ("sae-llama-3.1-8b-32x", "Llama 3.1 8B", "layers.{layer}.mlp"),
        ("sae-llama-3.1-8b-64x", "Llama 3.1 8B", "layers.{layer}.mlp"),
        ("sae-Llama-3.2-1B-131k", "Llama 3.2 1B", "layers.{layer}.mlp"),
        ("sae-DeepSeek-R1-Distill-Qwen-1.5B-65k", "R1 Distill Qwen 1.5B", "layers.{layer}.mlp"),
        ("sae-pythia-410m-65k", "Pythia 410M", "layers.{layer}.mlp"),
        ("skip-transcoder-Llama-3.2-1B-131k", "Llama 3.2 1B", "layers.{layer}.mlp"),
        ("skip-transcoder-SmolLM2-135M-128x", "SmolLM2 135M", "layers.{layer}.mlp"),
    ):
        transcoders = repo.startswith("skip-transcoder")
        what = (
            "skip transcoders of MLPs"
            if transcoders
            else "MLP outputs"
            if "mlp" in module
            else "residual stream"
        )
        layer = "{layer}" if transcoders else "10"
        yield Release(
            name=f"{repo}/{module}",
            place=f"EleutherAI/{repo}:{module}",
            model=model,
            about=f"EleutherAI, {what}",
            example=f"{repo}/{module.replace('{layer}', layer)}",
        )


RELEASES: tuple[Release, ...] = (*_gpt2(), *_gemma_scope(), *_sparsify())

#: Repositories of dictionaries of GPT-2 with centred weights, which their folders do not record.
CENTRED = frozenset(repo for one in RELEASES if one.centred for repo in one.repositories)


def hub_place(source: str) -> str:
    """The place on the hub, ``org/repo:folder``, of a dictionary that goes by a name; what is no such name as
    it is. `InputError` for an id that its release has not."""
    for one in RELEASES:
        place = one.place_of(source)
        if place is not None:
            return place
    release, slash, _ = source.partition("/")
    if known := [one for one in RELEASES if release in one.releases]:
        alike = " or ".join(repr(one.shown.partition("/")[2]) for one in known)
        asked = "has no id" if slash else "is a release; name one of its dictionaries, not"
        raise InputError(
            f"{release!r} {asked} {source.partition('/')[2]!r}: its ids are like {alike}, as in "
            f"{known[0].example!r}."
        )
    return source


def unknown_release(source: str) -> str | None:
    """A hint for a name of which no release is known, but one is close; None where none is."""
    release = source.partition("/")[0]
    hint = nearest(release, [name for one in RELEASES for name in one.releases])
    return hint if hint.startswith("did you mean") else None
