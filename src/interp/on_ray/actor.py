"""A worker as a Ray actor: what runs in a process of the cluster."""

from __future__ import annotations

import os
from typing import Any

from interp.workers.messages import Said, Setting


class Actor:
    """Talks to the driver as `interp.workers.worker.Worker` does. Ray makes an actor of it."""

    def __init__(self, setting: Setting) -> None:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from interp.workers.worker import Worker, set_up

        set_up(setting)
        self.worker = Worker()

    def place(self) -> tuple[str, int]:
        """The node that it is on, and its process there."""
        import ray

        return ray.get_runtime_context().get_node_id(), os.getpid()

    def talk(self, answer: Any) -> Said:
        return self.worker.talk(answer)
