"""What an experiment is: a typed configuration, a function to a typed result, and its presentation.

Adding one is one file in this folder:

    class MyConfig(ExperimentConfig):
        prompt: str = "The capital of France is"

    @experiment("my_experiment", config=MyConfig)
    def run(config: MyConfig, model: Model) -> MyResult:
        '''One line that `interp experiments` prints.'''
        return my_method(model, config.prompt)

The module of the same name in `interp.figures.views` presents its results: it has ``figure(result)``,
``table(result)`` and ``report(result)``. Without one, a run keeps its numbers and draws nothing.
"""

from __future__ import annotations

import pkgutil
import reprlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import UnionType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator
from typing_extensions import TypedDict

from interp.errors import ConfigError, InterpDeprecation, InterpError, nearest

if TYPE_CHECKING:
    from interp.models.base import Model
    from interp.results import Result


class AnyOf(TypedDict):
    """An answer of several forms that count as the same, each text, a token id or a list of ids."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    any: list[str | int | list[int]]


#: An answer in a configuration, as `interp.answers` says how it is written.
AnswerText = str | int | AnyOf


#: One turn of a conversation: its role and its content, which `interp.chat` checks.
Message = dict[str, str]

#: A prompt in a configuration: text, token ids, or the messages of a conversation.
PromptText = str | list[int] | list[Message]

#: Each key of an answer, and the keys of the prompts that it belongs to.
ANSWER_OF: dict[str, tuple[str, ...]] = {
    "answer": ("prompt", "clean"),
    "foil": ("prompt", "clean", "corrupted"),
    "target": ("first",),
    "competitor": ("second",),
}


class ExperimentConfig(BaseModel):
    """What every experiment takes: the model, how to run it, and the seed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    #: Keys of answers that may be left out where a prompt of one's own is given.
    MAY_BE_LEFT_OUT: ClassVar[tuple[str, ...]] = ("foil",)

    model: str = "demo-gpt2"
    revision: str | None = None
    backend: Literal["transformers", "transformer_lens", "nnsight"] = "transformers"
    device: str = "auto"
    dtype: Literal["float32", "float64", "bfloat16", "float16", "auto"] = "float32"
    bos: Literal["auto", True, False] = "auto"
    processing: Literal["none", "folded"] = "none"
    self_check: bool = True
    memory: float | None = None
    layout: dict[str, Any] | None = None
    trust_remote_code: bool = False
    remote: Literal[True, False, "local"] = False
    device_map: str | dict[str, str | int] | None = None
    offload_folder: str | None = None
    max_memory: dict[str | int, str | int] | None = None
    tp_plan: Literal["auto"] | None = None
    quantisation: Literal["torchao-int8", "bitsandbytes-int8", "bitsandbytes-nf4"] | None = None
    token_names: str | list[str] | dict[str, int] | dict[str, str] | None = None
    seed: int = 0

    @field_validator("layout")
    @classmethod
    def _is_a_layout(cls, values: dict[str, Any] | None) -> dict[str, Any] | None:
        if values is not None:
            from interp.models.layouts import Layout

            try:
                Layout.of(values)
            except InterpError as error:
                raise ValueError(str(error).rstrip(".")) from None
        return values

    @model_validator(mode="before")
    @classmethod
    def _answers_of_these_prompts(cls, values: Any) -> Any:
        """The default answer is that of the default prompt: with another prompt it is left out, or asked
        for."""
        if not isinstance(values, dict):
            return values
        values = dict(values)
        for key, prompts in ANSWER_OF.items():
            own = [p for p in prompts if values.get(p) is not None and p in cls.model_fields]
            other = [p for p in own if values[p] != cls.model_fields[p].default]
            if key not in cls.model_fields or key in values or not other:
                continue
            if key not in cls.MAY_BE_LEFT_OUT:
                default = cls.model_fields[key].default
                raise ValueError(
                    f"has a {other[0]!r} of its own, but no {key!r} (the default {default!r} is for another);"
                    " give it"
                )
            values[key] = None
        return values

    @model_validator(mode="before")
    @classmethod
    def _tokens_are_text(cls, values: Any) -> Any:
        """A token is given as text, or by its id in angle brackets: a bare number could be either."""
        for key, field in cls.model_fields.items():
            given = values.get(key) if isinstance(values, dict) else None
            if not {str, int} <= set(_alternatives(field.annotation)):
                continue  # no token: those may be text or an id
            for one in given if isinstance(given, list | tuple) else [given]:
                if isinstance(one, int) and not isinstance(one, bool):
                    raise ValueError(
                        f"has the number {one} for {key!r}; write the text of a token in quotes, as '{one}', "
                        f"or its id in angle brackets, as <{one}>"
                    )
        return values


#: The keys that say which model is loaded, and how: those of every experiment, but the seed.
LOADING: tuple[str, ...] = tuple(name for name in ExperimentConfig.model_fields if name != "seed")


def load_for(config: ExperimentConfig) -> Model:
    """The model that a configuration asks for."""
    from interp.models.layouts import Layout
    from interp.models.registry import load_model

    return load_model(
        config.model,
        backend=config.backend,
        device=config.device,
        dtype=config.dtype,
        bos=config.bos,
        revision=config.revision,
        processing=config.processing,
        self_check=config.self_check,
        memory=config.memory,
        layout=None if config.layout is None else Layout.of(config.layout),
        trust_remote_code=config.trust_remote_code,
        remote=config.remote,
        device_map=config.device_map,
        offload_folder=config.offload_folder,
        max_memory=config.max_memory,
        tp_plan=config.tp_plan,
        quantisation=config.quantisation,
        token_names=config.token_names,
    )


def overridden(values: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """A configuration with some values replaced. An answer in it is given up where only its prompt is
    replaced by another."""
    changed = {key for key, value in overrides.items() if values.get(key, value) != value}
    kept = {key: value for key, value in values.items() if not changed.intersection(ANSWER_OF.get(key, ()))}
    return kept | overrides


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """The types that a union is of; of any other type, itself."""
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


@dataclass(frozen=True)
class Experiment:
    """A registered experiment."""

    name: str
    about: str
    config: type[ExperimentConfig]
    run: Callable[[Any, Model], Result]
    shown_by: str | None

    @property
    def presentation(self) -> Any:
        """The module that draws its results, or None."""
        return import_module(self.shown_by) if self.shown_by else None

    @property
    def text_keys(self) -> frozenset[str]:
        """The keys that may hold any text."""
        fields = self.config.model_fields.items()
        return frozenset(key for key, field in fields if str in _alternatives(field.annotation))

    def make_config(self, values: dict[str, Any]) -> ExperimentConfig:
        """A validated configuration; `ConfigError` in one sentence where a key or value is wrong."""
        try:
            return self.config.model_validate(values)
        except ValidationError as error:
            raise ConfigError(self._explain(error)) from None

    def _explain(self, error: ValidationError) -> str:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            return f"Unknown key {key!r} for {self.name}; {nearest(key, self.config.model_fields)}"
        what = str(first["msg"]).removeprefix("Input ").removeprefix("Value error, ")
        if not key:
            return f"The configuration will not do for {self.name}: it {what}."
        quote = "; put text that reads as yes, no or a number in quotes" if "string" in what else ""
        value = reprlib.repr(first["input"])  # shortened: a configuration may hold anything
        return f"The value {value} of {key!r} will not do for {self.name}: it {what}{quote}."


_EXPERIMENTS: dict[str, Experiment] = {}

#: What experiments were called, and what they are called now.
FORMER_NAMES: dict[str, str] = {
    "patch_sweep": "activation_patching",
    "attention": "attention_patterns",
    "circuit": "faithfulness",
    "circuit_parts": "completeness",
    "discovery": "circuit_discovery",
    "knock_out": "head_ablation",
    "sae_ablation": "feature_ablation",
    "sae_effects": "feature_effects",
    "sae_features": "prompt_features",
    "sae_steering": "steering",
    "sae_train": "train_sae",
    "size_curve": "faithfulness_curve",
    "tuned_lens": "lenses_on_prompt",
}


def experiment(
    name: str, *, config: type[ExperimentConfig], shown_by: str | None = None
) -> Callable[[Callable[[Any, Model], Result]], Callable[[Any, Model], Result]]:
    """Register a function as the experiment `name`; the first line of its docstring says what it does.

    `shown_by` names the module that presents its results, where it is not the one of its name in
    `interp.figures.views`.
    """

    def register(run: Callable[[Any, Model], Result]) -> Callable[[Any, Model], Result]:
        if name in _EXPERIMENTS:
            raise ConfigError(f"There is an experiment {name!r} already; choose another name.")
        about = (run.__doc__ or "").strip().split("\n")[0]
        view = f"interp.figures.views.{name}"
        shown = shown_by or (view if find_spec(view) else None)
        _EXPERIMENTS[name] = Experiment(name, about, config, run, shown)
        return run

    return register


def all_experiments() -> dict[str, Experiment]:
    """Every registered experiment by name; imports the files of this folder first."""
    import interp.experiments as folder

    for module in pkgutil.iter_modules(folder.__path__, "interp.experiments."):
        import_module(module.name)
    return dict(_EXPERIMENTS)


def current_name(name: str) -> str:
    """What an experiment is called now, of a name that may be a former one."""
    return FORMER_NAMES.get(name, name)


def find_experiment(name: str) -> Experiment:
    """The experiment of this name; `ConfigError` with the nearest valid name otherwise. A former name is
    understood, with an `InterpDeprecation`."""
    experiments = all_experiments()
    if name not in experiments and (now := current_name(name)) != name:
        warnings.warn(f"The experiment {name!r} is called {now!r} now.", InterpDeprecation, stacklevel=2)
        name = now
    if name not in experiments:
        raise ConfigError(f"Unknown experiment {name!r}; {nearest(name, experiments)}")
    return experiments[name]
