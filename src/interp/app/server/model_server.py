"""The model server: models in memory and their answers, shared by every session of the app.

1. A session asks a question of a model by name and gets a `Job`. An answer from the cache is there at once; a
   question that another session is asking already is computed once for both.
2. Each model has one queue and one thread, which takes the jobs in the order in which they came. A long job
   lets quick ones overtake whenever it reports progress, so that nobody waits for another's sweep.
3. A session that no longer wants an answer withdraws; a job that nobody waits for ends at its next report.
4. Before a model is loaded, idle models are unloaded until it fits, the least recently used one first. One
   that does not fit even then is refused. Loading reports as it goes, so that it can be cancelled, too.

Only what was asked is shared, by its content: no session can reach another's prompts without typing them.
"""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError
from functools import cache, partial
from threading import Condition, Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from interp.app.server.cache import AnswerCache
from interp.app.server.jobs import QUICK, Answer, Job, ModelQueue, Question, check_lengths
from interp.app.server.models import bytes_in_memory, weight_bytes
from interp.errors import ModelLoadError
from interp.progress import Listener, listening

if TYPE_CHECKING:
    import torch

    from interp.models.base import Model

CACHE_BYTES = 512e6  # of all answers in the cache
SPARE_BYTES = 1e9  # of memory, which models leave free


class ModelServer:
    """Answers questions to models by name.

    `load` gives the model of a name; `size` says about how many bytes it will take (0: unknown); `free` how
    many bytes are free on a device, by default what the system says.
    """

    def __init__(
        self,
        load: Callable[[str], Model],
        *,
        cache_bytes: float = CACHE_BYTES,
        spare_bytes: float = SPARE_BYTES,
        size: Callable[[str], float] = lambda name: 0.0,
        free: Callable[[torch.device], float] | None = None,
    ) -> None:
        self._load, self._size, self._free = load, size, free
        self._spare_bytes = spare_bytes
        self._cache = AnswerCache(cache_bytes)
        self._queues: OrderedDict[str, ModelQueue] = OrderedDict()  # the last used comes last
        self._unfinished: dict[Hashable, Job] = {}
        self._lock = Condition()  # of all of the above; never held while a model works

    def ask(self, model: str, question: Question[Answer]) -> Answer:
        """The answer of a model; waits for it. Errors are raised and not cached."""
        return cast(Answer, self.submit(model, question).future.result())

    def submit(self, model: str, question: Question[Any]) -> Job:
        """The job of a question, which is done already where its answer is cached. Whoever submits it either
        takes its answer or withdraws from it."""
        job = Job(model, question)
        with self._lock:
            if job.key in self._cache:
                job.future.set_result(self._cache.get(job.key))
                return job
            if job.key in self._unfinished:
                job = self._unfinished[job.key]
            else:
                self._unfinished[job.key] = job
                self._queue(model).waiting.append(job)
                self._lock.notify_all()
            job.waiters += 1
        return job

    def withdraw(self, job: Job) -> None:
        """No longer wait for a job. When nobody does, it ends at its next report, or is never started."""
        with self._lock:
            job.waiters -= 1
            if job.waiters == 0 and job.started is None and not job.future.done():
                self._queues[job.model].waiting.remove(job)
                self._cancel(job)

    def jobs_ahead(self, job: Job) -> int:
        """How many jobs will be done before this one is started."""
        with self._lock:
            queue = self._queues.get(job.model)
            if queue is None or job not in queue.waiting:
                return 0
            return queue.waiting.index(job) + (queue.running is not None)

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models in memory, the least recently used first."""
        with self._lock:
            return tuple(name for name, queue in self._queues.items() if queue.model is not None)

    # ---- one thread for each model ----

    def _queue(self, name: str) -> ModelQueue:
        """The queue of a model, made with its thread where there is none. The lock is held."""
        if name not in self._queues:
            queue = self._queues[name] = ModelQueue(name)
            Thread(target=self._run_jobs, args=(queue,), name=f"model {name}", daemon=True).start()
        return self._queues[name]

    def _run_jobs(self, queue: ModelQueue) -> None:
        """The thread of a queue, which lives as long as there are jobs or the model is loaded."""
        while True:
            with self._lock:
                self._lock.wait_for(lambda: queue.waiting or queue.model is None)
                if not queue.waiting:
                    del self._queues[queue.name]
                    return
                job = queue.running = queue.waiting.popleft()
                self._queues.move_to_end(queue.name)
                job.started = perf_counter()
            self._run(queue, job)
            with self._lock:
                queue.running = None
                self._lock.notify_all()

    def _run(self, queue: ModelQueue, job: Job, *, overtaking: bool = False) -> None:
        """Run a job to its answer or error, which whoever waits for it gets."""
        try:
            with listening(self._listener(queue, job, overtaking=overtaking)):
                answer = self._compute(queue, job)
            with self._lock:
                self._cache.put(job.key, answer)
        except BaseException as error:
            settle = partial(job.future.set_exception, error)
        else:
            settle = partial(job.future.set_result, answer)
        with self._lock:
            self._forget(job)
            if not job.future.cancelled():
                settle()

    def _listener(self, queue: ModelQueue, job: Job, *, overtaking: bool) -> Listener:
        """What happens at each report of a job: it ends where nobody waits for it; else quick jobs overtake
        it, unless it is overtaking another one itself."""

        def listen(task: str, done: int, total: int) -> None:
            if job.progress is None or job.progress[0] != task:
                job.since = perf_counter()
            job.progress = task, done, total
            with self._lock:
                if not job.waiters:
                    self._cancel(job)
                    raise CancelledError
            if not overtaking and queue.model is not None:
                self._run_quick_jobs(queue)

        return listen

    def _compute(self, queue: ModelQueue, job: Job) -> Any:
        """The answer to a job's question; the model is loaded first where it is not."""
        if queue.model is None:
            job.progress = "loading", 0, 2
        model = self._loaded(queue)
        self._check_lengths(model, job)
        queue.estimate_time(job)
        start = perf_counter()
        answer = job.question(model)
        queue.learn_speed(job, perf_counter() - start)
        return answer

    def _run_quick_jobs(self, queue: ModelQueue) -> None:
        """Run the quick jobs among those that wait."""
        with self._lock:
            waiting = list(queue.waiting)
        for job in waiting:
            queue.estimate_time(job)
            if job.expected is not None and job.expected > QUICK:
                continue
            with self._lock:
                if job not in queue.waiting:  # it was withdrawn meanwhile
                    continue
                queue.waiting.remove(job)
                job.started = perf_counter()
            self._run(queue, job, overtaking=True)

    def _cancel(self, job: Job) -> None:
        """End a job that nobody waits for; who asks the same from now on gets a new one. The lock is held."""
        self._forget(job)
        job.future.cancel()

    def _forget(self, job: Job) -> None:
        """Take a job out of the unfinished ones. The lock is held."""
        if self._unfinished.get(job.key) is job:
            del self._unfinished[job.key]

    # ---- memory ----

    def _loaded(self, queue: ModelQueue) -> Model:
        """The model of a queue, loaded where it is not."""
        if queue.model is None:
            import torch

            size = self._size(queue.name)
            missing = self._free_memory(size, torch.device("cpu")) - self._spare_bytes
            if size and missing > 0:
                raise ModelLoadError(
                    f"{queue.name!r} takes about {size / 1e9:.2g} GB, of which {missing / 1e9:.2g} GB are "
                    "not free; close what else takes memory, or choose a smaller model."
                )
            queue.model = self._load(queue.name)
            self._free_memory(0.0, queue.model.device)
            # Streamlit collects garbage after each run of the page. What is loaded is left out of that: to go
            # through the objects of torch, transformers and a model takes 0.2 s, in which no thread works.
            gc.freeze()
        return queue.model

    def _check_lengths(self, model: Model, job: Job) -> None:
        """`InputError` where a text of a question is longer than there is memory for."""
        from interp.models.devices import free_bytes

        free = self._free or free_bytes
        check_lengths(model, job.question, lambda: free(model.device) - self._spare_bytes)

    def _free_memory(self, needed: float, device: torch.device) -> float:
        """Unload idle models, the least recently used one first, until so many bytes and those to spare are
        free; how many are missing still."""
        from interp.models.devices import free_bytes

        missing = needed + self._spare_bytes - (self._free or free_bytes)(device)
        with self._lock:
            for queue in self._queues.values():
                if missing > 0 and queue.model is not None and queue.idle:
                    missing -= bytes_in_memory(queue.model)
                    queue.model = None
            self._lock.notify_all()
        gc.unfreeze()  # a model that was unloaded was left out of the collections before
        gc.collect()
        return missing


@cache
def shared_server() -> ModelServer:
    """The one model server of this process."""

    def load(name: str) -> Model:
        from interp.models.registry import load_model

        return load_model(name)

    return ModelServer(load, size=weight_bytes)
