"""What a real model's vocabulary asks of figures: divergences of all sizes, and tokens that print nothing."""

from __future__ import annotations

import numpy as np
import pytest

from interp.figures.engine.chart_axes import Scale
from interp.figures.engine.notation import show_token
from interp.figures.views.by_layer import nats_by_layer


def test_an_axis_that_is_logarithmic_above_one_places_values_of_all_sizes():
    scale = Scale(low=0.0, high=1000.0, start=0.0, stop=4.0, symlog=True)
    assert [scale(value) for value in (0, 0.5, 1, 10, 100, 1000)] == pytest.approx([0, 0.5, 1, 2, 3, 4])
    assert scale.ticks == [0, 1, 10, 100, 1000]
    both = Scale(low=-10.0, high=10.0, start=0.0, stop=4.0, symlog=True)
    assert [both(value) for value in (-10, -1, 0, 10)] == pytest.approx([0, 1, 2, 4])
    assert both.ticks == [-10, -1, 0, 1, 10]
    assert Scale(low=0.0, high=704.2, start=0.0, stop=1.0, symlog=True).ticks == [0, 1, 10, 100]


def test_a_large_divergence_bends_the_axis_and_a_small_one_does_not():
    layers, small, large = ("embed", "0", "1"), np.array([27.0, 3.0, 0.0]), np.array([704.0, 3.0, 0.0])
    assert not nats_by_layer(layers, {"KL": small}).symlog_y
    bent = nats_by_layer(layers, {"KL": large, "entropy": small})
    assert bent.symlog_y
    assert bent.y_title == "nats (logarithmic above 1)"
    assert bent.y_range == (0.0, 704.0)
    assert [row[1] for row in bent.table.rows] == [704.0, 3.0, 0.0], "the numbers are as they were"


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        ("\u200b", "\\u200b"),  # a space of no width
        ("\u3164", "\\u3164"),  # a filler that is a letter by its class
        ("\u2800", "\\u2800"),  # Braille's blank
        ("\u0301", "\\u0301"),  # an accent on nothing
        (" \u0301\u0308", "␣\\u0301\\u0308"),
        ("e\u0301", "e\u0301"),
        ("了", "了"),
    ],
)
def test_tokens_that_print_nothing_are_written_as_code_points(token, shown):
    assert show_token(token) == shown
