"""Distributed alignment search: is there a subspace that holds a named variable, and would any do?

1. The prompts of a task have a variable (`interp.tasks.variables`): which answer, or which of two names.
2. They are dealt to two halves without an entity in common. In the first half, at each layer and for each
   number of dimensions, a subspace is searched within which an exchange with another prompt has the model
   answer as if the variable had the other's value (Geiger et al. 2023, https://arxiv.org/abs/2303.02536).
3. In the second half, it is counted how often it does: the *interchange accuracy*, the share of exchanges
   after which the wanted token is the likeliest of all that may be answered.
4. Beside it: the exchange of all that is there (the most that a subspace could do), and what else would do as
   well. Subspaces of the same size that were *searched* with the values dealt anew to other answers, and in
   an *untrained* model of the same shape; *random* ones; and the first *principal components*, for which
   nothing is searched.

When it misleads: a search has many parameters, and with enough dimensions finds something to turn in any
model (Makelov et al. 2023, https://arxiv.org/abs/2311.17030). So believe what holds on other entities and
exceeds the placebos, at few dimensions. Where principal components do as well, the variable is simply most of
what differs there, and the search was not needed. And that an exchange brings the other's answer shows that
the subspace is enough to carry the variable on, not that the model keeps it nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Shaped

from interp.errors import InputError
from interp.methods.common.intervals import share_interval
from interp.methods.probing.readings import addresses_of, layer_name, untrained_like
from interp.methods.probing.results import (
    AlignmentSearchResult,
    ExchangedWithin,
    VariableData,
)
from interp.methods.probing.subspaces import Basis, Place, find_basis, principal_basis, random_basis
from interp.models.base import Model
from interp.models.given_runs import check_place
from interp.progress import report
from interp.provenance import Provenance
from interp.results import Dropped, Interval
from interp.sites import Address
from interp.tasks.base import PairDataset
from interp.tasks.variables import Interchange, Variable, VariableDataset, with_variable


def alignment_search(
    model: Model,
    data: PairDataset,
    *,
    variable: Variable = "answer",
    site: str = "resid_post",
    layers: Sequence[int] | None = None,
    role: str = "END",
    dims: Sequence[int] = (1, 2, 4, 8),
    steps: int = 200,
    batch_size: int = 32,
    learning_rate: float = 0.02,
    per_base: int = 4,
    n_shuffled: int = 1,
    n_random: int = 3,
    untrained: bool = True,
    only_answered: bool = True,
    seed: int = 0,
) -> AlignmentSearchResult:
    """Search for subspaces that hold a variable of the clean prompts of `data`, and for their placebos.

    Args:
        variable: ``answer`` or ``order``; see `interp.tasks.variables`.
        site, layers, role: where; a site of a layer without heads, all layers by default (of ``resid_post``,
            -1 is the stream before the first), and a role that is one token.
        dims: how many dimensions, rising; each is searched by itself.
        steps, batch_size, learning_rate: of each search, by Adam; the rate falls to a tenth.
        per_base: how many sources each base has.
        n_shuffled, n_random: how many of these placebos; 0 leaves them out.
        only_answered: leave out prompts of which the model does not say the answer before all others that may
            be answered; `VariableData.dropped` names them.

    Raises:
        InputError: what `with_variable` refuses, dimensions that do not rise or do not fit, too few entities.
        SiteError: the model does not have the site.
    """
    check_place(site)
    addresses = addresses_of(model, site, layers)
    ks = tuple(dims)
    if not ks or list(ks) != sorted(set(ks)) or ks[0] < 1:
        raise InputError("Give at least one number of dimensions, each once, rising, and from 1 on.")
    width = (model.arch.d_mlp or 0) if site == "mlp_act" else model.arch.d_model
    if ks[-1] > width:
        raise InputError(f"{site!r} is {width} wide; ask for no more dimensions.")
    if min(steps, batch_size, per_base) < 1 or min(n_shuffled, n_random) < 0:
        raise InputError("steps, batch_size and per_base are at least 1, n_shuffled and n_random at least 0.")
    answered = with_variable(data, variable, role)
    if only_answered:
        answered = _answered(model, answered)
    fitted, tested = answered.halves(seed)
    search = _Search(
        addresses=addresses,
        ks=ks,
        fitted=fitted,
        tested=tested,
        exchanges=(fitted.interchanges(per_base, seed), tested.interchanges(per_base, seed)),
        settings={"steps": steps, "batch_size": batch_size, "learning_rate": learning_rate},
        seed=seed,
        total=len(addresses) * len(ks) * (1 + n_shuffled + int(untrained)),
    )
    places = search.places(model)

    own, bases = search.searched("search", places, search.exchanges[0])
    ways = [own]
    if n_shuffled:
        ways.append(search.shuffled(places, per_base, n_shuffled))
    if untrained:
        bare = search.places(untrained_like(model, seed))
        ways.append(search.searched("untrained", bare, search.exchanges[0])[0])
    if n_random:
        drawn = [random_basis(width, ks[-1], 1000 * seed + i).to(places[0][0].own) for i in range(n_random)]
        ways.append(search.given("random", places, lambda _, k: [basis[:, :k] for basis in drawn]))
    ways.append(search.given("components", places, lambda place, k: [principal_basis(place.own, k)]))
    whole = np.stack([test.right(search.exchanges[1], None) for _, test in places], 1)  # [exchange, layer]
    still = [Interchange(one.base, one.base, one.wanted) for one in search.exchanges[1]]
    untouched = places[0][1].right(still, None)[:, None]
    return AlignmentSearchResult(
        provenance=Provenance.of(model, seed=seed),
        data=search.described(model, answered),
        site=site,
        layers=tuple(layer_name(address, site) for address in addresses),
        dims=ks,
        width=width,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        untouched=search.interval(untouched)[0],
        whole=search.interval(whole),
        ways=tuple(ways),
        bases=bases,
    )


def _answered(model: Model, data: VariableDataset) -> VariableDataset:
    """The prompts of which the model says the answer before all others that may be answered."""
    (place,) = Place.each(model, data, [Address("resid_post", model.arch.n_layers - 1)])
    right = place.right([Interchange(i, i, prompt.own) for i, prompt in enumerate(data.prompts)], None)
    wrong = [
        Dropped(prompt.text, "the model says another of the answers")
        for prompt, said in zip(data.prompts, right, strict=True)
        if not said
    ]
    return data.where(np.flatnonzero(right).tolist(), wrong)


class _Search:
    """What all subspaces have in common: the prompts, the exchanges, and how they are judged."""

    def __init__(
        self,
        *,
        addresses: list[Address],
        ks: tuple[int, ...],
        fitted: VariableDataset,
        tested: VariableDataset,
        exchanges: tuple[list[Interchange], list[Interchange]],
        settings: dict[str, float],
        seed: int,
        total: int,
    ) -> None:
        self.addresses, self.ks, self.seed = addresses, ks, seed
        self.fitted, self.tested, self.exchanges = fitted, tested, exchanges
        self.settings, self.total, self.done = settings, total, 0
        # both halves are judged among all that may be answered
        self.clusters = [sorted(tested.prompts[one.base].entities) for one in exchanges[1]]

    def places(self, model: Model) -> list[tuple[Place, Place]]:
        """Of each layer, the place in the prompts that are fitted to and in those that are tested."""
        halves = [Place.each(model, half, self.addresses) for half in (self.fitted, self.tested)]
        return list(zip(*halves, strict=True))

    def searched(
        self, way: str, places: list[tuple[Place, Place]], exchanges: list[Interchange]
    ) -> tuple[ExchangedWithin, tuple[np.ndarray, ...]]:
        """Search with these exchanges in each layer and for each size, and test; with the bases, [layer,
        width, k] of each size."""
        fit = np.zeros((len(places), len(self.ks)))
        right = np.zeros((len(self.exchanges[1]), *fit.shape))
        bases: list[list[np.ndarray]] = [[] for _ in self.ks]
        for layer, (train, test) in enumerate(places):
            for i, k in enumerate(self.ks):
                basis = self._find(train, exchanges, k)
                bases[i].append(basis.cpu().numpy())
                fit[layer, i] = train.right(exchanges, basis).mean()
                right[:, layer, i] = test.right(self.exchanges[1], basis)
        found = ExchangedWithin(way=way, right=self.interval(right), fitted=fit, own_labels=None)
        return found, tuple(np.stack(of_size) for of_size in bases)

    def shuffled(self, places: list[tuple[Place, Place]], per_base: int, n: int) -> ExchangedWithin:
        """Search with the values dealt anew; test what is found on the true values, and on such as it was
        searched with."""
        parts, fitted, own = [], [], np.zeros((len(places), len(self.ks)))
        for draw in range(n):
            seed = 1000 * self.seed + draw
            exchanges, own_tests = (
                half.shuffled(seed).interchanges(per_base, seed) for half in (self.fitted, self.tested)
            )
            found, bases = self.searched("shuffled", places, exchanges)
            parts.append(found)
            fitted.append(found.fitted)
            for layer, (train, test) in enumerate(places):
                for i in range(len(self.ks)):
                    basis = train.own.new_tensor(bases[i][layer])
                    own[layer, i] += test.right(own_tests, basis).mean() / n
        return replace(
            parts[0],
            right=parts[0].right if n == 1 else _mean([part.right for part in parts]),
            fitted=np.mean([part for part in fitted if part is not None], axis=0),
            own_labels=own,
        )

    def given(
        self,
        way: str,
        places: list[tuple[Place, Place]],
        bases: Callable[[Place, int], list[Basis]],
    ) -> ExchangedWithin:
        """Test subspaces for which nothing is searched; of several, the mean."""
        right = np.zeros((len(self.exchanges[1]), len(places), len(self.ks)))
        for layer, (train, test) in enumerate(places):
            for i, k in enumerate(self.ks):
                several = bases(train, k)
                right[:, layer, i] = np.mean([test.right(self.exchanges[1], one) for one in several], 0)
        return ExchangedWithin(way=way, right=self.interval(right), fitted=None, own_labels=None)

    def interval(self, right: Shaped[np.ndarray, " exchange *cell"]) -> Interval:
        """The share of exchanges that are right, with its interval over the entities of the bases."""
        return share_interval(right.astype(float), self.seed, [str(one) for one in self.clusters])

    def described(self, model: Model, answered: VariableDataset) -> VariableData:
        changed = (one for one in self.exchanges[1] if one.wanted != self.tested.prompts[one.base].own)
        one = next(changed, self.exchanges[1][0])
        base, source = self.tested.prompts[one.base], self.tested.prompts[one.source]
        entities = (_n_entities(self.fitted), _n_entities(self.tested))
        said = model.labels([base.own, one.wanted])
        return VariableData(
            name=answered.name,
            variable=answered.variable,
            role=answered.role,
            prompts=(len(self.fitted), len(self.tested)),
            entities=entities,
            exchanges=(len(self.exchanges[0]), len(self.exchanges[1])),
            answers=(len(self.fitted.tokens), len(self.tested.tokens)),
            example=(base.text, source.text, said[0], said[1]),
            dropped=answered.dropped,
        )

    def _find(self, place: Place, exchanges: list[Interchange], k: int) -> Basis:
        report("subspaces", self.done, self.total)
        basis = find_basis(place, exchanges, k, seed=self.seed, **self.settings)  # type: ignore[arg-type]
        self.done += 1
        report("subspaces", self.done, self.total)
        return basis


def _n_entities(data: VariableDataset) -> int:
    return len({entity for prompt in data.prompts for entity in prompt.entities})


def _mean(intervals: Sequence[Interval]) -> Interval:
    """The mean of several draws, with the widest interval of any: draws share their tests."""
    return replace(
        intervals[0],
        value=np.mean([one.value for one in intervals], 0),
        low=np.min([one.low for one in intervals], 0),
        high=np.max([one.high for one in intervals], 0),
        error=None,
    )
