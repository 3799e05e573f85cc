"""Questions to a model; jobs, which are questions on their way to an answer; a model's queue of jobs."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from hashlib import sha256
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

from interp.errors import InputError, InterpError

if TYPE_CHECKING:
    from interp.models.base import Model

Answer = TypeVar("Answer", covariant=True)

QUICK = 1.0  # seconds: a job that is expected to take no longer may overtake those that do
CALIBRATION = 4, 64  # prompts and tokens of the run by which a model's speed is first measured
LONG = 2000  # characters of a text, of which tokens are counted before it is run
TOO_LITTLE = 2048  # tokens: the time of so little work is not worth measuring


@runtime_checkable
class Question(Hashable, Protocol[Answer]):
    """What can be asked of a model: a frozen dataclass that is called with the model and gives the answer.

    One that may take long has a method ``work(model)``: how many tokens go through the whole model.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __call__(self, model: Model) -> Answer: ...


def question_id(model: str, question: Question[Any]) -> str:
    """A short name for a question to a model: a digest of its class and of the fields that are compared.

    It is the same in every process, and two different questions have two different ones.
    """
    fields = [(f.name, getattr(question, f.name)) for f in dataclasses.fields(question) if f.compare]
    asked = model, type(question).__module__, type(question).__qualname__, fields
    return sha256(repr(asked).encode()).hexdigest()[:16]


def check_lengths(model: Model, question: Question[Any], free: Callable[[], float]) -> None:
    """`InputError` where a text of a question has so many tokens that a layer's attention over them takes
    more than the bytes that are `free`: the scores and shares of every head, and both once more while they
    are made."""
    texts = [getattr(question, f.name) for f in dataclasses.fields(question)]
    n = max(
        (_n_tokens(model, text) for text in texts if isinstance(text, str) and len(text) > LONG), default=0
    )
    needed = 16.0 * model.arch.n_heads * n**2
    if n and needed > (left := free()):
        raise InputError(
            f"The prompt has {n:,} tokens, over which attention takes about {needed / 1e9:.2g} GB, and "
            f"{max(left, 0.0) / 1e9:.2g} GB of memory are free; shorten it."
        )


def _n_tokens(model: Model, text: str) -> int:
    """How many tokens a text has; 0 where it is refused as a prompt, which the question itself will say."""
    try:
        return len(model.to_tokens(text).row(0))
    except InterpError:
        return 0


@dataclass(eq=False)
class Job:
    """A question to a model: how many wait for its answer, how far it is, and in the end the answer."""

    model: str
    question: Question[Any]
    waiters: int = 0
    work: float | None = None  # tokens that go through the model, where the question says so
    expected: float | None = None  # seconds
    started: float | None = None  # by `perf_counter`; None: it waits in the queue
    progress: tuple[str, int, int] | None = None  # the last report: task, steps done, steps in all
    since: float | None = None  # when that task was first reported
    future: Future[Any] = field(default_factory=Future)

    @property
    def key(self) -> Hashable:
        return self.model, self.question


@dataclass(eq=False)
class ModelQueue:
    """One model, and the jobs that wait for it."""

    name: str
    model: Model | None = None  # None: it is not loaded
    running: Job | None = None
    waiting: deque[Job] = field(default_factory=deque)
    speed: float | None = None  # tokens through the model a second, as measured last

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return not self.waiting and self.running is None

    def estimate_time(self, job: Job) -> None:
        """Set how long a job will take, by the model's speed, where its question says how much work it is."""
        work = getattr(job.question, "work", None)
        if job.work is not None or work is None or self.model is None:
            return
        try:
            job.work = float(work(self.model))
        except Exception:  # such as a prompt that is refused: the question itself will say so
            return
        if self.speed is None and job.work > TOO_LITTLE:
            self.speed = measured_speed(self.model)
        if self.speed is not None:
            job.expected = job.work / self.speed

    def learn_speed(self, job: Job, seconds: float) -> None:
        """Take the model's speed from a job that took so many seconds."""
        if job.work is not None and seconds > QUICK:
            self.speed = job.work / seconds


def measured_speed(model: Model) -> float:
    """Tokens through the model a second, in the second of two runs; the first one warms up."""
    rows, n = CALIBRATION[0], min(CALIBRATION[1], model.arch.n_ctx or CALIBRATION[1])
    seconds = 0.0
    for _ in range(2):
        start = perf_counter()
        model.forward([[0] * n] * rows)
        seconds = perf_counter() - start
    return rows * n / seconds
