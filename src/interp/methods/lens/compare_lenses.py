"""The court of lenses: which to believe, on text, at a step in between that is known, and by its effects.

Three questions, and no lens need win all of them:

1. *On text* that no lens was fitted on: how far is what it reads at each layer from what the model says
   (KL, first token, rank of the model's token, bias)? A lens that is trained to predict has the advantage
   here; being near the prediction early is no virtue where the model has not made it yet.
2. *At a known step*: in prompts that need two steps, both of which the model knows, does the lens read the
   one in between, above the chance of reading another one?
3. *By its effects*: if the lens's coordinates of that step and another are exchanged, does the model say what
   follows from the other? And over bands of layers: with the clean run's coordinates, and with those that
   each layer finds.

Controls are judged with the lenses: the logit lens, which is an identity for J; any lens with the coordinates
of the stream shuffled (`interp.methods.lens.shuffled`); another model's of the same width; and as `lenses`
whatever else is known to be wrong.

When it misleads: a model may know the answer of both steps by heart, and take no step in between. Intervals
are over sequences and over prompts; prompts of one relation are alike, so that for other relations they are
too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from interp import zoo
from interp.errors import InputError
from interp.methods.lens.bridge_exchange import lens_bands, lens_exchange, swaps
from interp.methods.lens.bridges import clean_streams, lens_on_bridges, paired
from interp.methods.lens.comparison_results import CompareLensesResult, JudgedLens
from interp.methods.lens.jacobian_lens import JacobianLens
from interp.methods.lens.lens import Lens, layer_names, stream_layers
from interp.methods.lens.lenses_on_text import lenses_on_text
from interp.methods.lens.shuffled import ShuffledLens
from interp.methods.lens.sources import AnyLens, load_lens
from interp.models.base import Model
from interp.progress import report
from interp.provenance import Provenance
from interp.tasks.two_hops import TwoHop, known
from interp.tokens import Prompt


def compare_lenses(
    model: Model,
    text: Sequence[Prompt],
    *,
    lenses: Sequence[AnyLens] | Mapping[str, AnyLens] = ("logit", "patchscope"),
    cases: Sequence[TwoHop] = (),
    shuffled: Sequence[str] = (),
    other_models: Sequence[str] = (),
    controls: Sequence[str] = (),
    k: int = 10,
    widths: Sequence[int] = (),
    band_every: int = 1,
    n_random: int = 4,
    skip_first: int = 0,
    described: str = "the given text",
    seed: int = 0,
) -> CompareLensesResult:
    """Ask several lenses the same three questions.

    Args:
        text: what no lens was fitted on; text or token ids, each a sequence.
        lenses: as `interp.load_lens` takes them; with labels of one's own, or called as they were asked for.
            The first is what the others are held against.
        cases: prompts that need two steps (`interp.tasks.two_hops`); those that the model does not know in
            both are left out, and said.
        shuffled: labels of lenses that are also judged with the stream's coordinates shuffled, as controls.
        other_models: lenses that were made for other models, also judged as controls: the name of a demo
            model (its Jacobian lens), or a place. They must be of this model's width, and no deeper.
        controls: labels of those `lenses` that are known to be wrong.
        k: a bridge counts as read where it is within the first `k`.
        widths: of bands of layers, over which the exchange is also held and left to itself, by all lenses but
            controls; none: no bands.
        band_every: bands begin after every so many layers.
        n_random: random changes of the same size for each exchange.
        skip_first: how many tokens of each sequence of the text are not read, the BOS being the first: at an
            attention sink, of a large norm, one token can outweigh all others in a mean of KL.
        described: in words, what text it is.

    Raises `InputError` where there is no lens, no text, a label that is not there, a band that is wider than
    the model is deep, or another model's lens that cannot read this one.
    """
    loaded = _loaded(model, lenses, shuffled)
    foreign = _of_other_models(model, other_models)
    wrong = {*controls, *(f"{label}, shuffled" for label in shuffled), *foreign}
    if twice := [label for label in foreign if label in loaded]:
        raise InputError(f"Two lenses are called {twice[0]!r}; give labels of your own.")
    loaded |= foreign
    if not text:
        raise InputError("There is no text to read; give a sequence or more.")
    if unknown := [label for label in controls if label not in loaded]:
        raise InputError(f"There is no lens {unknown[0]!r} to be a control; there are {', '.join(loaded)}.")
    if not (1 <= k <= model.arch.d_vocab and n_random >= 1 and band_every >= 1):
        raise InputError("k, n_random and band_every must be at least 1, and k at most the number of tokens.")
    n_layers = model.arch.n_layers
    if any(not 1 <= width <= n_layers for width in widths) or len(set(widths)) < len(widths):
        raise InputError(
            f"A band has 1 to {n_layers} layers, from the embedding to the one before the last, and each "
            f"width is given once; got {list(widths)}."
        )
    shortest = min(model.to_tokens(list(text)).lengths)
    if not 0 <= skip_first < shortest:
        raise InputError(
            f"The shortest sequence has {shortest} tokens, so {skip_first} cannot be left out of each."
        )
    kept, dropped = known(model, cases)
    pairs, alone = paired(model, kept)
    streams = clean_streams(model, pairs)
    on_text, n_tokens = lenses_on_text(model, loaded, text, skip_first=skip_first, seed=seed)
    judged = []
    for number, (label, lens) in enumerate(loaded.items()):
        report("lenses", number, len(loaded))
        exchanges = swaps(model, lens, pairs, streams) if pairs else None
        judged.append(
            JudgedLens(
                label=label,
                description=lens.description,
                control=label in wrong,
                text=on_text[label],
                bridges=lens_on_bridges(model, lens, pairs, streams, k=k, seed=seed) if pairs else None,
                exchange=lens_exchange(model, exchanges, n_random=n_random, seed=seed) if exchanges else None,
                bands=lens_bands(model, exchanges, widths=sorted(widths), every=band_every, seed=seed)
                if exchanges and widths and label not in wrong
                else None,
            )
        )
    report("lenses", len(loaded), len(loaded))

    def labels(name: str) -> tuple[str, ...]:
        return tuple(model.labels([getattr(pair, name) for pair in pairs]))

    return CompareLensesResult(
        provenance=Provenance.of(model, seed=seed),
        text=described,
        n_sequences=len(text),
        n_tokens=n_tokens,
        layers=layer_names(stream_layers(model)),
        lenses=tuple(judged),
        k=k,
        prompts=tuple(model.to_text(pair.ids) for pair in pairs),
        bridges=labels("bridge"),
        answers=labels("answer"),
        others=labels("other"),
        foretold=labels("foretold"),
        dropped=(*dropped, *alone),
    )


def _loaded(
    model: Model, lenses: Sequence[AnyLens] | Mapping[str, AnyLens], shuffled: Sequence[str]
) -> dict[str, Lens]:
    """The lenses by their labels, and the shuffled ones."""
    if not lenses:
        raise InputError("There is no lens to judge; give one or more.")
    if isinstance(lenses, Mapping):
        asked = dict(lenses)
    else:
        labels = [one.name if isinstance(one, Lens) else str(one) for one in lenses]
        if len(set(labels)) < len(labels):
            raise InputError("Two lenses have the same label; give them labels of your own.")
        asked = dict(zip(labels, lenses, strict=True))
    found = {label: load_lens(one, model) for label, one in asked.items()}
    for label in shuffled:
        if label not in found:
            raise InputError(f"There is no lens {label!r} to shuffle; there are {', '.join(found)}.")
        found[f"{label}, shuffled"] = ShuffledLens(lens=found[label], n_layers=model.arch.n_layers)
    return found


def _of_other_models(model: Model, places: Sequence[str]) -> dict[str, Lens]:
    """Lenses that were made for other models, by their labels."""
    found: dict[str, Lens] = {}
    for place in places:
        if place == model.identity.name:
            raise InputError(f"{place!r} is this model itself; name another one, whose lens is a control.")
        if place in zoo.NAMES:
            found[f"of {place}"] = JacobianLens.load(place, model, check=False)
        else:
            found[f"of {place}"] = load_lens(place, model, check=False)
    return found
