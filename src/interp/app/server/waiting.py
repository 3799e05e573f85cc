"""What is told of a question that is not answered yet."""

from __future__ import annotations

from interp.app.server.models import folder
from interp.app.server.store import Job
from interp.figures.engine.notation import count


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


def told(job: Job, *, ahead: int, now: float) -> tuple[str, float]:
    """What to say of a job, and which share of it is done. `ahead`: as `Store.ahead` says; `now`: by
    `time.perf_counter`."""
    if job.began is None:
        return f"Waiting: {count(ahead, 'question')} of other pages at this model first.", 0.0
    task, done, total = job.stage or ("", 0, 0)
    share = done / total if total else 0.0
    if task == "loading" and done < total:
        fetched = "" if folder(job.name) else ", which is fetched from the hub once"
        return f"Loading {job.name}{fetched}.", share
    elapsed = now - job.began
    so_far = f"{duration(elapsed)} so far"
    # what it has done itself says more than the model's speed; steps are alike, but for the first ones
    whole = elapsed / share if share > 0.02 else job.expected
    if whole is None:
        return f"Working: {so_far}.", share
    part = f"{done:,} of {total:,} {task}" if total else "just begun"
    return f"This takes about {duration(whole)} ({part}; {so_far}).", share
