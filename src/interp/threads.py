"""How threads wait for each other: asleep, and not in a loop that keeps a core busy.

OpenMP's threads spin for a while at the end of each parallel piece of work, to be back at once. Where another
program has the other core, the work of the one waits for the spinning of the other, many times over; asleep
they wait for nobody. It is read when torch is imported.
"""

from __future__ import annotations

import os


def wait_asleep() -> None:
    """To be called before torch is imported; what the user has set stays."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
