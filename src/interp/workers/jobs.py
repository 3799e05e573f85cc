"""What workers run: an experiment with its configuration, or a call of a function of this library.

The model travels as what it is loaded from. One that is in memory travels itself, once for each worker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from interp.models.base import Model

#: A worker's models, by what they were loaded from.
Models = dict[Any, Any]


@runtime_checkable
class Job(Protocol):
    def run(self, models: Models) -> Any:
        """The result, on the model that is in `models` from now on."""
        ...


@dataclass(frozen=True, kw_only=True)
class ExperimentJob:
    """An experiment, with all values of its configuration."""

    experiment: str
    config: Mapping[str, Any]

    def run(self, models: Models) -> Any:
        from interp.experiments.base import LOADING, find_experiment, load_for

        experiment = find_experiment(self.experiment)
        config = experiment.make_config(dict(self.config))
        key = repr([(name, getattr(config, name)) for name in LOADING])
        return experiment.run(config, only(models, key, lambda: load_for(config)))


@dataclass(frozen=True, eq=False, kw_only=True)
class CallJob:
    """A call of `function(model, *arguments, **keywords)`."""

    function: Callable[..., Any]
    model: Mapping[str, Any]  # what `load_model` was given
    key: str  # which model that is
    arguments: Sequence[Any] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, function: Callable[..., Any], model: Model, *arguments: Any, **keywords: Any) -> CallJob:
        given = model.loaded_from
        options = {name: value for name, value in given.items() if name not in ("model", "tokenizer")}
        key = repr((model.identity, options))  # with the hash of the weights of one in memory
        return cls(function=function, model=given, key=key, arguments=arguments, keywords=keywords)

    def run(self, models: Models) -> Any:
        from interp.models.registry import load_model

        model = only(models, self.key, lambda: load_model(**self.model))
        return self.function(model, *self.arguments, **self.keywords)


def only(models: Models, key: Any, load: Callable[[], Any]) -> Any:
    """The model of this key; another one that was loaded before makes room for it."""
    if key not in models:
        models.clear()
        models[key] = load()
    return models[key]
