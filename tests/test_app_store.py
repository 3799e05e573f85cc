"""The store of the app: one model for all sessions, one line of jobs each, answers kept by their bytes."""

import threading
import time
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pytest

from interp.app.server.answers import Answers, n_bytes
from interp.app.server.models import weight_bytes
from interp.app.server.store import QUICK, Store, model_bytes
from interp.app.server.waiting import duration, told
from interp.app.views import explore, trace
from interp.errors import InputError
from interp.progress import report

PROMPT = "The capital of France is"


@dataclass(frozen=True)
class Ask:
    """Answers its own text; `work` and `steps` make it long."""

    text: str
    done: "list[str]"
    gates: "dict[str, threading.Event]"
    tokens: float = 0.0

    def __hash__(self):
        return hash(self.text)

    def __eq__(self, other):
        return self.text == other.text

    def work(self, model):
        return self.tokens

    def __call__(self, model):
        if self.text in self.gates:
            while not self.gates[self.text].wait(0.005):
                report("steps", 1, 2)
            report("steps", 2, 2)
        if self.text == "wrong":
            raise InputError("It is wrong.")
        self.done.append(self.text)
        return self.text


class Lab:
    """A store whose models are the demo model, with gates that hold questions at work."""

    def __init__(self, load, **options):
        self.loaded, self.done, self.gates = [], [], {}

        def loader(name):
            self.loaded.append(name)
            return load("demo-gpt2")

        self.store = Store(loader, **options)

    def ask(self, text, tokens=0.0):
        return Ask(text, self.done, self.gates, tokens)

    def held(self, text, tokens=0.0):
        """A question that is at work until its gate is set."""
        self.gates[text] = threading.Event()
        return self.ask(text, tokens)


def until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def begun(job):
    """Wait until a held question is at work."""
    until(lambda: job.stage is not None and job.stage[0] == "steps")


@pytest.fixture
def lab(load):
    return Lab(load)


def test_the_same_question_is_computed_once_for_all(lab):
    question = lab.held("same")
    jobs = [lab.store.start("a", question) for _ in range(8)]
    lab.gates["same"].set()
    assert [job.future.result(30) for job in jobs] == ["same"] * 8
    assert lab.store.ask("a", question) == "same"
    assert (lab.done, lab.loaded) == (["same"], ["a"])


def test_many_threads_get_each_their_own_answer(lab):
    got = {}

    def session(i):
        got[i] = [lab.store.ask(name, lab.ask(f"{i} asks {n}")) for n, name in enumerate("abab")]

    threads = [threading.Thread(target=session, args=(i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert got == {i: [f"{i} asks {n}" for n in range(4)] for i in range(20)}
    assert sorted(lab.loaded) == ["a", "b"]


def test_jobs_are_taken_in_the_order_in_which_they_came(lab):
    long = lab.store.start("a", lab.held("first", tokens=1e12))
    begun(long)
    jobs = [lab.store.start("a", lab.ask(text, tokens=1e12)) for text in "bcd"]
    assert [lab.store.ahead(job) for job in (long, *jobs)] == [0, 1, 2, 3]
    lab.gates["first"].set()
    assert [job.future.result(30) for job in jobs] == list("bcd")
    assert lab.done == ["first", "b", "c", "d"]


def test_quick_questions_pass_a_long_one_and_long_ones_do_not(lab):
    long = lab.store.start("a", lab.held("long", tokens=1e12))
    begun(long)
    assert long.expected > QUICK
    other = lab.store.start("a", lab.ask("long too", tokens=1e12))
    assert lab.store.ask("a", lab.ask("quick")) == "quick"
    assert not long.future.done()
    assert other.began is None
    lab.gates["long"].set()
    assert other.future.result(30) == "long too"
    assert lab.done == ["quick", "long", "long too"]


def test_models_do_not_wait_for_each_other(lab):
    lab.store.start("a", lab.held("held"))
    assert lab.store.ask("b", lab.ask("free")) == "free"
    lab.gates["held"].set()


def test_a_question_that_nobody_wants_ends_and_can_be_asked_again(lab):
    question = lab.held("held")
    first, second = lab.store.start("a", question), lab.store.start("a", question)
    begun(first)
    lab.store.leave(first)
    time.sleep(0.05)
    assert not second.future.done()  # another session still waits
    lab.store.leave(second)
    with pytest.raises(CancelledError):
        second.future.result(30)
    assert lab.done == []
    lab.gates["held"].set()
    assert lab.store.ask("a", question) == "held"


def test_a_method_that_does_not_heed_its_end_does_no_harm(lab):
    @dataclass(frozen=True)
    class Deaf:
        def __call__(self, model):
            for step in range(200):
                with suppress(CancelledError):
                    report("steps", step, 200)
                time.sleep(0.002)
            return "deaf"

    job = lab.store.start("a", Deaf())
    begun(job)
    lab.store.leave(job)
    again = lab.store.start("a", Deaf())
    assert again.future.result(60) == "deaf"
    assert lab.store.ask("a", lab.ask("next")) == "next"


def test_a_question_that_is_left_in_line_is_never_begun(lab):
    held = lab.store.start("a", lab.held("held"))
    begun(held)
    waiting = lab.store.start("a", lab.ask("left", tokens=1e12))
    lab.store.leave(waiting)
    assert waiting.future.cancelled()
    lab.gates["held"].set()
    held.future.result(30)
    lab.store.ask("a", lab.ask("next"))
    assert "left" not in lab.done


def test_errors_are_raised_and_not_kept(lab):
    for _ in range(2):
        with pytest.raises(InputError, match="wrong"):
            lab.store.ask("a", lab.ask("wrong"))
    assert lab.store.ask("a", lab.ask("right")) == "right"

    def refuse(name):
        lab.loaded.append(name)
        raise InputError(f"No {name}.")

    store = Store(refuse)
    for _ in range(2):
        with pytest.raises(InputError, match="No such"):
            store.ask("such", lab.ask("x"))
    assert lab.loaded[-2:] == ["such", "such"]
    until(lambda: "model such" not in [thread.name for thread in threading.enumerate()])


def test_a_sweep_is_cancelled_between_its_steps(load):
    """A real one: it reports as it goes, and ends when it is left."""
    store = Store(load)
    before = "So" + " so" * 45 + ". "
    sweep = trace.Sweep(before + PROMPT, before + "The capital of Japan is", " Paris", " Tokyo")
    job = store.start("demo-gpt2", sweep)
    until(lambda: job.future.done() or (job.stage is not None and job.stage[0] == "branches"))
    store.leave(job)
    with pytest.raises(CancelledError):
        job.future.result(60)
    assert len(store.ask("demo-gpt2", explore.Lens(PROMPT)).tokens) > 1


# ---- memory ----


def test_models_leave_when_memory_is_short_the_one_longest_unused_first(load):
    one = model_bytes(load("demo-gpt2"))
    room = {"free": 1e12}
    lab = Lab(load, spare_bytes=1.0, size=lambda name: one, free=lambda device: room["free"])
    for name in "abca":  # "b" is the one longest unused
        lab.store.ask(name, lab.ask(f"{name} {len(lab.loaded)}"))
    until(lambda: lab.store.models == ("b", "c", "a"))
    room["free"] = 0.0  # each load now needs one to leave before it, and a byte to be free behind it
    lab.store.ask("d", lab.ask("new"))
    until(lambda: lab.store.models == ("d",))
    room["free"] = 1e12
    lab.store.ask("a", lab.ask("again"))
    assert lab.loaded == ["a", "b", "c", "d", "a"]


def test_only_as_many_leave_as_are_needed(load):
    one = model_bytes(load("demo-gpt2"))
    free = iter([1e12] * 6 + [0.0, 1e12])
    lab = Lab(load, spare_bytes=0.0, size=lambda name: one, free=lambda device: next(free))
    for name in "abcd":
        lab.store.ask(name, lab.ask(name))
    until(lambda: lab.store.models == ("b", "c", "d"))


def test_a_model_that_is_at_work_stays(load):
    lab = Lab(load, size=lambda name: 1e9, free=lambda device: 0.0)
    held = lab.store.start("a", lab.held("held"))
    begun(held)
    lab.store.ask("b", lab.ask("other"))
    assert lab.store.models == ("a", "b")
    lab.gates["held"].set()
    assert held.future.result(30) == "held"


def test_the_size_of_weights_is_told_before_they_are_read(load, tiny_gpt2):
    for name, model in (("demo-gpt2", load("demo-gpt2")), (str(tiny_gpt2), load("tiny-gpt2"))):
        assert weight_bytes(name) == pytest.approx(model_bytes(model), rel=0.2)
    assert weight_bytes("nobody/nothing") == weight_bytes("no such folder") == 0


def test_answers_are_counted_in_bytes():
    answers = Answers(limit=2.5e6)
    for i in range(5):
        answers.put(i, np.zeros(125_000))  # 1 MB
    assert (3 in answers, 4 in answers, len(answers)) == (True, True, 2)
    answers.get(3)
    answers.put(5, np.zeros(125_000))
    assert 3 in answers  # it was used
    assert 4 not in answers
    answers.put("large", np.zeros(10**6))
    assert len(answers) == 1  # the last one stays, whatever its size
    assert answers.get("large").shape == (10**6,)
    answers.put("small", "text")
    assert "large" not in answers
    assert answers.bytes < 100


def test_results_are_weighed_with_all_that_they_hold(load):
    result = explore.Lens(PROMPT)(load("demo-gpt2"))
    arrays = sum(v.nbytes for v in vars(result).values() if isinstance(v, np.ndarray))
    texts = sum(len(t) for layer in result.top_tokens for cell in layer for t in cell)
    assert n_bytes(result) > arrays + texts
    assert n_bytes((np.zeros(1000),) * 3) < 9000  # the same array counts once
    load("demo-gpt2").forward(PROMPT)
    assert n_bytes(load("demo-gpt2").W_U) >= load("demo-gpt2").W_U.nbytes


# ---- what is told meanwhile ----


def test_what_is_told_of_a_job(lab):
    held = lab.store.start("a", lab.held("held", tokens=1e12))
    begun(held)
    text, share = told(held, ahead=0, now=held.began + 75)
    assert text == "This takes about 2 min (1 of 2 steps; 80 s so far)."
    assert share == 0.5
    waiting = lab.store.start("a", lab.ask("other", tokens=1e12))
    assert "1 question of other pages" in told(waiting, ahead=1, now=0.0)[0]
    lab.store.leave(waiting)
    lab.gates["held"].set()
    held.future.result(30)
    held.stage, held.expected = None, 600
    assert told(held, ahead=0, now=held.began)[0] == "This takes about 10 min (just begun; 1 s so far)."
    held.stage = "loading", 0, 2
    assert "fetched from the hub once" in told(held, ahead=0, now=0.0)[0]
    assert [duration(s) for s in (0.2, 9.9, 42, 600, 7200)] == ["1 s", "10 s", "40 s", "10 min", "2.0 h"]
