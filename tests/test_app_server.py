"""The app's model server: models for all sessions, a queue of jobs each, a cache bounded by bytes."""

import copy
import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import pytest

from interp.app.server.cache import AnswerCache, size_in_bytes
from interp.app.server.jobs import QUICK, question_id
from interp.app.server.model_server import ModelServer
from interp.app.server.models import ModelIdentity, bytes_in_memory, weight_bytes
from interp.app.server.progress import duration, progress_in_words
from interp.app.views import attention, circuit_map, features, lens, tokens, trace
from interp.errors import InputError, ModelLoadError
from interp.models import sources
from interp.progress import report
from type_checks import unchecked

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

        self.server = ModelServer(loader, **options)

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


def wait_until_at_work(job):
    """Wait until a held question reports."""
    until(lambda: job.progress is not None and job.progress[0] == "steps")


@pytest.fixture
def lab(load):
    return Lab(load)


def test_the_same_question_is_computed_once_for_all(lab):
    question = lab.held("same")
    jobs = [lab.server.submit("a", question) for _ in range(8)]
    lab.gates["same"].set()
    assert [job.future.result(30) for job in jobs] == ["same"] * 8
    assert lab.server.ask("a", question) == "same"
    assert (lab.done, lab.loaded) == (["same"], ["a"])


def test_many_threads_get_each_their_own_answer(lab):
    got = {}

    def session(i):
        got[i] = [lab.server.ask(name, lab.ask(f"{i} asks {n}")) for n, name in enumerate("abab")]

    threads = [threading.Thread(target=session, args=(i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert got == {i: [f"{i} asks {n}" for n in range(4)] for i in range(20)}
    assert sorted(lab.loaded) == ["a", "b"]


def test_jobs_are_taken_in_the_order_in_which_they_came(lab):
    long = lab.server.submit("a", lab.held("first", tokens=1e12))
    wait_until_at_work(long)
    jobs = [lab.server.submit("a", lab.ask(text, tokens=1e12)) for text in "bcd"]
    assert [lab.server.jobs_ahead(job) for job in (long, *jobs)] == [0, 1, 2, 3]
    lab.gates["first"].set()
    assert [job.future.result(30) for job in jobs] == list("bcd")
    assert lab.done == ["first", "b", "c", "d"]


def test_quick_questions_pass_a_long_one_and_long_ones_do_not(lab):
    long = lab.server.submit("a", lab.held("long", tokens=1e12))
    wait_until_at_work(long)
    assert long.expected > QUICK
    other = lab.server.submit("a", lab.ask("long too", tokens=1e12))
    assert lab.server.ask("a", lab.ask("quick")) == "quick"
    assert not long.future.done()
    assert other.started is None
    lab.gates["long"].set()
    assert other.future.result(30) == "long too"
    assert lab.done == ["quick", "long", "long too"]


def test_models_do_not_wait_for_each_other(lab):
    lab.server.submit("a", lab.held("held"))
    assert lab.server.ask("b", lab.ask("free")) == "free"
    lab.gates["held"].set()


def test_a_question_that_nobody_wants_ends_and_can_be_asked_again(lab):
    question = lab.held("held")
    first, second = lab.server.submit("a", question), lab.server.submit("a", question)
    wait_until_at_work(first)
    lab.server.withdraw(first)
    time.sleep(0.05)
    assert not second.future.done()  # another session still waits
    lab.server.withdraw(second)
    with pytest.raises(CancelledError):
        second.future.result(30)
    assert lab.done == []
    lab.gates["held"].set()
    assert lab.server.ask("a", question) == "held"


def test_a_method_that_does_not_heed_its_end_does_no_harm(lab):
    @dataclass(frozen=True)
    class Deaf:
        def __call__(self, model):
            for step in range(200):
                with suppress(CancelledError):
                    report("steps", step, 200)
                time.sleep(0.002)
            return "deaf"

    job = lab.server.submit("a", Deaf())
    wait_until_at_work(job)
    lab.server.withdraw(job)
    again = lab.server.submit("a", Deaf())
    assert again.future.result(60) == "deaf"
    assert lab.server.ask("a", lab.ask("next")) == "next"


def test_a_question_that_is_left_in_line_is_never_wait_until_at_work(lab):
    held = lab.server.submit("a", lab.held("held"))
    wait_until_at_work(held)
    waiting = lab.server.submit("a", lab.ask("left", tokens=1e12))
    lab.server.withdraw(waiting)
    assert waiting.future.cancelled()
    lab.gates["held"].set()
    held.future.result(30)
    lab.server.ask("a", lab.ask("next"))
    assert "left" not in lab.done


def test_errors_are_raised_and_not_kept(lab):
    for _ in range(2):
        with pytest.raises(InputError, match="wrong"):
            lab.server.ask("a", lab.ask("wrong"))
    assert lab.server.ask("a", lab.ask("right")) == "right"

    def refuse(name):
        lab.loaded.append(name)
        raise InputError(f"No {name}.")

    server = ModelServer(refuse)
    for _ in range(2):
        with pytest.raises(InputError, match="No such"):
            server.ask("such", lab.ask("x"))
    assert lab.loaded[-2:] == ["such", "such"]
    until(lambda: "model such" not in [thread.name for thread in threading.enumerate()])


def test_a_sweep_is_cancelled_between_its_steps(load):
    """A real one: it reports as it goes, and ends when it is left."""
    server = ModelServer(load)
    before = "So" + " so" * 45 + ". "
    sweep = trace.ActivationPatching(before + PROMPT, before + "The capital of Japan is", " Paris", " Tokyo")
    job = server.submit("demo-gpt2", sweep)
    until(lambda: job.future.done() or (job.progress is not None and job.progress[0] == "branches"))
    server.withdraw(job)
    with pytest.raises(CancelledError):
        job.future.result(60)
    assert len(server.ask("demo-gpt2", lens.LogitLens(PROMPT)).tokens) > 1


def test_loading_is_cancelled_between_its_weights(monkeypatch, tiny_gpt2):
    """A real one: it stops at the first weight after it is left, and can be loaded again."""
    from interp.models.registry import load_model

    held, reports = threading.Event(), []
    real = sources.report

    def slow_report(task, done, total):
        reports.append(done)
        if done == 2:
            held.wait(30)
        real(task, done, total)

    monkeypatch.setattr(sources, "report", slow_report)
    server = ModelServer(load_model)
    job = server.submit(str(tiny_gpt2), ModelIdentity())
    until(lambda: 2 in reports)
    server.withdraw(job)
    held.set()
    with pytest.raises(CancelledError):
        job.future.result(30)
    until(lambda: not sources._loading.locked())
    assert max(reports) == 2
    assert server.models == ()
    assert server.ask(str(tiny_gpt2), ModelIdentity()).name == str(tiny_gpt2)


# ---- memory ----


def test_models_leave_when_memory_is_short_the_one_longest_unused_first(load):
    one = bytes_in_memory(load("demo-gpt2"))
    room = {"free": 1e12}
    lab = Lab(load, spare_bytes=1.0, size=lambda name: one, free=lambda device: room["free"])
    for name in "abca":  # "b" is the one longest unused
        lab.server.ask(name, lab.ask(f"{name} {len(lab.loaded)}"))
    until(lambda: lab.server.models == ("b", "c", "a"))
    room["free"] = 0.0  # each load now needs one to leave before it, and a byte to be free behind it
    lab.server.ask("d", lab.ask("new"))
    until(lambda: lab.server.models == ("d",))
    room["free"] = 1e12
    lab.server.ask("a", lab.ask("again"))
    assert lab.loaded == ["a", "b", "c", "d", "a"]


def test_what_is_loaded_is_left_out_of_collections_and_let_go_with_its_model(load):
    """Streamlit collects garbage after each run of a page; going through a model's objects takes long."""
    models = []

    def loader(name):
        model = copy.copy(load("demo-gpt2"))
        model.itself = model  # so that only a collection can let it go
        models.append(weakref.ref(model))
        return model

    free = iter([1e12, 1e12, 0.0, 1e12])
    lab = Lab(load, spare_bytes=1.0, free=lambda device: next(free))
    lab.server._load = loader
    gc.unfreeze()
    lab.server.ask("a", lab.ask("first"))
    assert gc.get_freeze_count() > 0
    lab.server.ask("b", lab.ask("second"))
    until(lambda: models[0]() is None)
    assert models[1]() is not None
    assert gc.get_freeze_count() > 0


def test_only_as_many_leave_as_are_needed(load):
    one = bytes_in_memory(load("demo-gpt2"))
    free = iter([1e12] * 6 + [0.0, 1e12])
    lab = Lab(load, spare_bytes=0.0, size=lambda name: one, free=lambda device: next(free))
    for name in "abcd":
        lab.server.ask(name, lab.ask(name))
    until(lambda: lab.server.models == ("b", "c", "d"))


def test_a_model_that_is_at_work_stays_and_what_does_not_fit_is_refused(load):
    free = iter([2e9, 2e9])  # before and after the first one is loaded
    lab = Lab(load, size=lambda name: 1e9, free=lambda device: next(free, 0.0))
    held = lab.server.submit("a", lab.held("held"))
    wait_until_at_work(held)
    with pytest.raises(ModelLoadError, match="takes about 1 GB, of which 1 GB are not free"):
        lab.server.ask("b", lab.ask("other"))
    assert lab.loaded == ["a"]
    assert lab.server.models == ("a",)
    lab.gates["held"].set()
    assert held.future.result(30) == "held"


def test_a_prompt_is_no_longer_than_there_is_memory_for(load):
    """Attention over it is weighed before it is run; short texts and such as are refused anyway are not."""
    free = {"bytes": 2e9}
    lab = Lab(load, spare_bytes=1e9, free=lambda device: free["bytes"])
    text = "word " * 500
    n = len(load("demo-gpt2").encoder.tokenizer.encode(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load("demo-gpt2"), "encoder", replace(load("demo-gpt2").encoder, n_ctx=None))
        assert lab.server.ask("a", lab.ask(text)) == text
        free["bytes"] = 1e9 + 1e6
        with pytest.raises(InputError, match=r"tokens, over which attention takes about .* GB"):
            lab.server.ask("a", lab.ask(f"{text} "))
        assert n > 400
        assert lab.server.ask("a", lab.ask("word")) == "word"
    assert lab.server.ask("a", lab.ask(f"{text}  ")) == f"{text}  "  # longer than the model reads


def test_the_size_of_weights_is_told_before_they_are_read(load, tiny_gpt2):
    for name, model in (("demo-gpt2", load("demo-gpt2")), (str(tiny_gpt2), load("tiny-gpt2"))):
        assert weight_bytes(name) == pytest.approx(bytes_in_memory(model), rel=0.2)
    assert weight_bytes("nobody/nothing") == weight_bytes("no such folder") == 0


def test_answers_are_counted_isize_in_bytes():
    answers = AnswerCache(max_bytes=2.5e6)
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
    result = lens.LogitLens(PROMPT)(load("demo-gpt2"))
    arrays = sum(v.nbytes for v in vars(result).values() if isinstance(v, np.ndarray))
    texts = sum(len(t) for layer in result.top_tokens for cell in layer for t in cell)
    assert size_in_bytes(result) > arrays + texts
    assert size_in_bytes((np.zeros(1000),) * 3) < 9000  # the same array counts once
    load("demo-gpt2").forward(PROMPT)
    assert size_in_bytes(load("demo-gpt2").W_U) >= load("demo-gpt2").W_U.nbytes


# ---- progress in words, and names of questions ----


def test_the_progress_of_a_job_in_words(lab):
    held = lab.server.submit("a", lab.held("held", tokens=1e12))
    wait_until_at_work(held)
    text, share = progress_in_words(held, ahead=0, now=held.started + 75)
    assert text == "This takes about 2 min (1 of 2 steps; 80 s so far)."
    assert share == 0.5
    held.since = held.started + 45  # after another task, or the loading of the model
    assert "about 2 min" in progress_in_words(held, ahead=0, now=held.started + 75)[0]
    assert "about 80 s (" in progress_in_words(held, ahead=0, now=held.started + 60)[0]
    waiting = lab.server.submit("a", lab.ask("other", tokens=1e12))
    assert "1 question of other pages" in progress_in_words(waiting, ahead=1, now=0.0)[0]
    lab.server.withdraw(waiting)
    lab.gates["held"].set()
    held.future.result(30)
    held.progress, held.expected = None, 600
    text, _ = progress_in_words(held, ahead=0, now=held.started)
    assert text == "This takes about 10 min (just begun; 1 s so far)."
    held.progress = "loading", 0, 2
    assert "fetched from the hub once" in progress_in_words(held, ahead=0, now=0.0)[0]
    assert [duration(s) for s in (0.2, 9.9, 42, 600, 7200)] == ["1 s", "10 s", "40 s", "10 min", "2.0 h"]


@unchecked()  # what a name is made of is told by values of any type
def test_two_questions_never_have_the_same_name():
    reading = features.ReadText("demo-gpt2")
    questions = [
        ModelIdentity(),
        attention.HeadsPerLayer(),  # these two have no fields
        tokens.SingleToken("a"),
        tokens.PromptTokens("a"),  # of equal fields
        lens.LogitLens("a", -1),
        lens.LogitLens("a", -2),  # of equal hash, as hash(-1) is hash(-2)
        lens.LogitLens("a", "1"),
        lens.LogitLens("a", 1),
        circuit_map.HeadScores(),
        reading,
        features.FeatureProfiles(reading, (3,), None),
        features.FeatureProfiles(reading, (4,), None),
    ]
    names = {question_id(model, question) for model in ("demo-gpt2", "demo-qwen3") for question in questions}
    assert len(names) == 2 * len(questions)
    again = features.FeatureProfiles(features.ReadText("demo-gpt2"), (3,), object())
    assert question_id("demo-gpt2", again) == question_id("demo-gpt2", questions[-2])


def test_a_question_has_the_same_name_in_every_process():
    program = (
        "from interp.app.server.jobs import question_id; from interp.app.views.lens import LogitLens; "
        f"print(question_id('demo-gpt2', LogitLens({PROMPT!r}, ' Paris')))"
    )
    for seed in ("1", "2"):  # of Python's own hashes of texts
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == question_id("demo-gpt2", lens.LogitLens(PROMPT, " Paris"))
