"""Models in memory and what they answered, shared by every session of the app.

1. A session asks a question of a model by name and gets a `Job`. An answer that is kept is there at once; a
   question that another session has asked already is computed once for both.
2. Each model has one line of jobs and one thread that takes them in the order in which they came. A job that
   takes long lets quick ones pass whenever it reports progress, so that nobody waits for another's sweep.
3. A session that no longer wants an answer leaves its job; one that nobody wants ends at its next report.
4. Before a model is loaded, models that are not at work leave, the one longest unused first, until it fits.

Only what was asked is shared, by its content: no session can reach another's prompts without typing them.
"""

from __future__ import annotations

import gc
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from functools import cache, partial
from threading import Condition, Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from interp.app.server.answers import Answers
from interp.progress import listening

if TYPE_CHECKING:
    import torch

    from interp.models.base import Model

Answer = TypeVar("Answer", covariant=True)

ANSWER_BYTES = 512e6  # of all answers that are kept
SPARE_BYTES = 1e9  # of memory, which models leave free
QUICK = 1.0  # seconds: a job that is expected to take no longer passes those that do
CALIBRATED_ON = 4, 64  # prompts and tokens of the one run by which a model's speed is first measured
SMALL = 2048  # tokens: how long so little work takes is not worth measuring


class Question(Hashable, Protocol[Answer]):
    """What can be asked of a model: a hashable value that is called with it.

    One that may take long has a method ``work(model)``: how many tokens go through the whole model.
    """

    def __call__(self, model: Model) -> Answer: ...


@dataclass(eq=False)
class Job:
    """A question on its way: how far it is, and in the end its answer."""

    name: str
    question: Question[Any]
    wanted: int = 0  # how many wait for it
    work: float | None = None  # tokens that go through the model, where the question says so
    expected: float | None = None  # seconds
    began: float | None = None  # by `perf_counter`; None: it stands in line
    stage: tuple[str, int, int] | None = None  # what it reported last: (task, done, total)
    future: Future[Any] = field(default_factory=Future)

    @property
    def key(self) -> Hashable:
        return self.name, self.question


@dataclass(eq=False)
class Line:
    """One model: its jobs, and how fast it is."""

    name: str
    model: Model | None = None
    at_work: Job | None = None
    jobs: deque[Job] = field(default_factory=deque)
    speed: float | None = None  # tokens through the model a second, as measured last


class Store:
    """Asks models by name. `load` is given a name and returns the model; `size` is given a name and returns
    about how many bytes it will take (0: unknown); `free` is how many are free on a device."""

    def __init__(
        self,
        load: Callable[[str], Model],
        *,
        answer_bytes: float = ANSWER_BYTES,
        spare_bytes: float = SPARE_BYTES,
        size: Callable[[str], float] = lambda name: 0.0,
        free: Callable[[torch.device], float] | None = None,
    ) -> None:
        self._load, self._size, self._free = load, size, free
        self._spare_bytes = spare_bytes
        self._answers = Answers(answer_bytes)
        self._lines: OrderedDict[str, Line] = OrderedDict()  # the one last used comes last
        self._jobs: dict[Hashable, Job] = {}  # those whose answers are not there yet
        self._guard = Condition()  # of all of the above; never held while a model works

    def ask(self, name: str, question: Question[Answer]) -> Answer:
        """The answer of the model `name`; waits for it. What raises is not kept."""
        return cast(Answer, self.start(name, question).future.result())

    def start(self, name: str, question: Question[Any]) -> Job:
        """A job for a question, which is done already where its answer is kept. Whoever starts it either
        takes its answer or leaves it."""
        job = Job(name, question)
        with self._guard:
            if job.key in self._answers:
                job.future.set_result(self._answers.get(job.key))
                return job
            if job.key in self._jobs:
                job = self._jobs[job.key]
            else:
                self._jobs[job.key] = job
                self._line(name).jobs.append(job)
                self._guard.notify_all()
            job.wanted += 1
        return job

    def leave(self, job: Job) -> None:
        """No longer want an answer; when nobody does, the job ends at its next report, or is never begun."""
        with self._guard:
            job.wanted -= 1
            if job.wanted == 0 and job.began is None and not job.future.done():
                self._lines[job.name].jobs.remove(job)
                self._end(job)

    def ahead(self, job: Job) -> int:
        """How many jobs will be done before this one is begun."""
        with self._guard:
            line = self._lines.get(job.name)
            if line is None or job not in line.jobs:
                return 0
            return line.jobs.index(job) + (line.at_work is not None)

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models in memory, the one longest unused first."""
        with self._guard:
            return tuple(name for name, line in self._lines.items() if line.model is not None)

    # ---- one thread for each model ----

    def _line(self, name: str) -> Line:
        """The line of a model, made with its thread where there is none. The guard is held."""
        if name not in self._lines:
            line = self._lines[name] = Line(name)
            Thread(target=self._take_turns, args=(line,), name=f"model {name}", daemon=True).start()
        return self._lines[name]

    def _take_turns(self, line: Line) -> None:
        """The thread of one line, for as long as it has a model or jobs."""
        while True:
            with self._guard:
                self._guard.wait_for(lambda: line.jobs or line.model is None)
                if not line.jobs:
                    del self._lines[line.name]
                    return
                job = line.at_work = line.jobs.popleft()
                self._lines.move_to_end(line.name)
                job.began = perf_counter()
            self._answer(line, job)
            with self._guard:
                line.at_work = None
                self._guard.notify_all()

    def _answer(self, line: Line, job: Job, *, between: bool = False) -> None:
        """Carry out a job; between the steps of another one, it does not give way itself."""

        def listener(task: str, done: int, total: int) -> None:
            job.stage = task, done, total
            with self._guard:
                if not job.wanted:
                    self._end(job)
                    raise CancelledError
            if not between and line.model is not None:
                self._let_pass(line)

        try:
            with listening(listener):
                if line.model is None:
                    job.stage = "loading", 0, 2
                model = self._model(line)
                self._expect(line, job)
                began = perf_counter()
                answer = job.question(model)
            if job.work is not None and (took := perf_counter() - began) > QUICK:
                line.speed = job.work / took
            with self._guard:
                self._answers.put(job.key, answer)
        except BaseException as error:  # whoever waits gets it
            settle = partial(job.future.set_exception, error)
        else:
            settle = partial(job.future.set_result, answer)
        with self._guard:
            self._leave_out(job)
            if not job.future.cancelled():
                settle()

    def _let_pass(self, line: Line) -> None:
        """Carry out the quick jobs that wait."""
        with self._guard:
            waiting = list(line.jobs)
        for job in waiting:
            self._expect(line, job)
            if job.expected is not None and job.expected > QUICK:
                continue
            with self._guard:
                if job not in line.jobs:  # it was left meanwhile
                    continue
                line.jobs.remove(job)
                job.began = perf_counter()
            self._answer(line, job, between=True)

    def _end(self, job: Job) -> None:
        """Nobody waits for it, and whoever asks the same from now on begins anew. The guard is held."""
        self._leave_out(job)
        job.future.cancel()

    def _leave_out(self, job: Job) -> None:
        """It is no longer among those on their way. The guard is held."""
        if self._jobs.get(job.key) is job:
            del self._jobs[job.key]

    def _expect(self, line: Line, job: Job) -> None:
        """How long a job will take, by the model's speed; unknown where the question does not say."""
        work = getattr(job.question, "work", None)
        if job.work is not None or work is None or line.model is None:
            return
        try:
            job.work = float(work(line.model))
        except Exception:  # such as a prompt that is refused: the question itself will say so
            return
        if line.speed is None and job.work > SMALL:
            line.speed = _speed(line.model)
        if line.speed is not None:
            job.expected = job.work / line.speed

    # ---- the models ----

    def _model(self, line: Line) -> Model:
        if line.model is None:
            import torch

            self._make_room(line, self._size(line.name), torch.device("cpu"))
            line.model = self._load(line.name)
            self._make_room(line, 0.0, line.model.device)
        return line.model

    def _make_room(self, line: Line, need: float, device: torch.device) -> None:
        """Let models go that are not at work, the one longest unused first, until so many bytes are free."""
        from interp.models.memory import free_bytes

        short = need + self._spare_bytes - (self._free or free_bytes)(device)
        with self._guard:
            for other in self._lines.values():
                if short > 0 and other.model is not None and not other.jobs and not other.at_work:
                    short -= model_bytes(other.model)
                    other.model = None
            self._guard.notify_all()
        gc.collect()


def model_bytes(model: Model) -> int:
    """The bytes of a model's weights; shared ones count once."""
    return sum(p.nbytes for p in {p.data_ptr(): p for p in model.hf_model.parameters()}.values())


def _speed(model: Model) -> float:
    """Tokens through the model a second, of one run after another that warms up."""
    rows, n = CALIBRATED_ON[0], min(CALIBRATED_ON[1], model.arch.n_ctx or CALIBRATED_ON[1])
    took = 0.0
    for _ in range(2):
        began = perf_counter()
        model.forward([[0] * n] * rows)
        took = perf_counter() - began
    return rows * n / took


@cache
def shared() -> Store:
    """The one store of this server."""
    from interp.app.server.models import weight_bytes

    def load(name: str) -> Model:
        from interp.models.registry import load_model

        return load_model(name)

    return Store(load, size=weight_bytes)
