"""How far a job is, in a sentence for the person who waits."""

from __future__ import annotations

from interp.app.server.jobs import Job
from interp.app.server.models import local_folder
from interp.figures.engine.notation import count


def progress_in_words(job: Job, *, ahead: int, now: float) -> tuple[str, float]:
    """A sentence about a job, and the share of it that is done.

    Args:
        ahead: how many jobs come before it, as `ModelServer.jobs_ahead` counts them.
        now: by `time.perf_counter`.
    """
    if job.started is None:
        return f"Waiting: {count(ahead, 'question')} of other pages at this model first.", 0.0
    task, done, total = job.progress or ("", 0, 0)
    share = done / total if total else 0.0
    if task == "loading" and done < total:
        fetched = "" if local_folder(job.model) else ", which is fetched from the hub once"
        return f"Loading {job.model}{fetched}.", share
    so_far = f"{duration(now - job.started)} so far"
    # the steps of a task are alike but for the first ones, and say more than the model's speed
    since = job.since or job.started
    whole = since - job.started + (now - since) / share if share > 0.02 else job.expected
    if whole is None:
        return f"Working: {so_far}.", share
    steps = f"{done:,} of {total:,} {task}" if total else "just begun"
    return f"This takes about {duration(whole)} ({steps}; {so_far}).", share


def duration(seconds: float) -> str:
    """
    >>> duration(4.2), duration(75), duration(700), duration(5000)
    ('4 s', '80 s', '12 min', '1.4 h')
    """
    if seconds < 10:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 100:
        return f"{seconds / 10:.0f}0 s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
