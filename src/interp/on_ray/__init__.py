"""Workers on a Ray cluster. Nothing else knows of Ray, and Ray is imported when it is asked for.

``interp.on_ray(...)`` is a function, and this room has its name: the room is called as the function is.
"""

import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        from interp.on_ray.cluster import on_ray

        return on_ray(*arguments, **keywords)


sys.modules[__name__].__class__ = _Room
