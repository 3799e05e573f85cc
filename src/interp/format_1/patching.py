"""What changed in the results of patching since the first format."""

from __future__ import annotations

from interp.format_1 import Fields, estimate, pairs


def path_patching(values: Fields) -> Fields:
    values["pairs"] = pairs(values, corrupted="corrupted")
    for name in ("direct", "total"):
        values[name] = estimate(values, name, f"{name}_low", f"{name}_high", f"{name}_by_pair")
    return values


CHANGES = {"path_patching": path_patching}
