"""What the notebooks of the course (``notebooks/``) share: predictions beside what was seen, and exercises
that check themselves."""

from interp.course.checking import Verdict, check
from interp.course.expected import Expected

__all__ = ["Expected", "Verdict", "check"]
