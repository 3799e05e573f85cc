"""Models in memory and what they answered, shared by every session of the app."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Protocol, TypeVar, cast

from interp.models.base import Model

Answer = TypeVar("Answer", covariant=True)


class Question(Hashable, Protocol[Answer]):
    """What can be asked of a model: a hashable value that is called with it."""

    def __call__(self, model: Model) -> Answer: ...


class Store:
    """The models last used, one at work for one session at a time, and the answers last given.

    An answer is kept by its model's name and its question, so that going back is instant. What raises is
    not kept. `load` is given a name and returns the model.
    """

    def __init__(self, load: Callable[[str], Model], *, models: int = 2, answers: int = 256) -> None:
        self._load = load
        self._most_models, self._most_answers = models, answers
        self._models: OrderedDict[str, Model] = OrderedDict()
        self._locks: dict[str, Lock] = {}
        self._answers: OrderedDict[tuple[str, Hashable], object] = OrderedDict()
        self._guard = Lock()  # of the tables above; never held while a model works

    def ask(self, name: str, question: Question[Answer]) -> Answer:
        """The answer of the model `name`, from memory where it is there; waits while the model is at work."""
        key = name, question
        with self._guard:
            if key in self._answers:
                self._answers.move_to_end(key)
                return cast(Answer, self._answers[key])
            lock = self._locks.setdefault(name, Lock())
        with lock:
            if key in self._answers:  # another session asked the same meanwhile
                return cast(Answer, self._answers[key])
            answer = question(self._model(name))
        with self._guard:
            self._answers[key] = answer
            while len(self._answers) > self._most_answers:
                self._answers.popitem(last=False)
        return answer

    def _model(self, name: str) -> Model:
        with self._guard:
            if name in self._models:
                self._models.move_to_end(name)
                return self._models[name]
        model = self._load(name)
        with self._guard:
            self._models[name] = model
            while len(self._models) > self._most_models:
                self._models.popitem(last=False)
        return model
