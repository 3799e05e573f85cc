"""What an edit does to a tensor, against arithmetic by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from interp.edits import Edit
from interp.errors import EditError
from interp.models.editing import Taps, apply_edit, check_value
from interp.sites import Address

LENGTHS = (2, 3)  # a ragged batch: the last position of row 0 is padding


@pytest.fixture
def resid() -> Tensor:
    """[row, pos, width] = 100 row + 10 pos + width."""
    return grid(2, 3, 2)


@pytest.fixture
def heads() -> Tensor:
    """[row, pos, head, width] = 1000 row + 100 pos + 10 head + width."""
    return grid(2, 3, 2, 2)


def grid(*shape: int) -> Tensor:
    value = torch.zeros(shape)
    for axis, size in enumerate(shape):
        place = torch.arange(size) * 10.0 ** (len(shape) - 1 - axis)
        value += place.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return value


def test_set_everywhere(resid: Tensor) -> None:
    edit = Edit.set("resid_pre", 0, value=torch.tensor([7.0, 8.0]))
    assert apply_edit(resid, edit, LENGTHS).tolist() == [[[7, 8]] * 3] * 2


def test_the_original_is_left_alone(resid: Tensor) -> None:
    before = resid.clone()
    apply_edit(resid, Edit.zero("resid_pre", 0), LENGTHS)
    assert torch.equal(resid, before)


def test_negative_positions_count_from_the_end_of_each_prompt(resid: Tensor) -> None:
    edited = apply_edit(resid, Edit.add("resid_pre", 0, value=0.5, positions=-1), LENGTHS)
    assert (edited - resid).tolist() == [
        [[0, 0], [0.5, 0.5], [0, 0]],  # a prompt of two tokens: its last is position 1
        [[0, 0], [0, 0], [0.5, 0.5]],
    ]


def test_values_go_to_rows_and_positions_in_their_order(resid: Tensor) -> None:
    value = torch.tensor([[[1.0], [2.0]]])  # [row, pos, width]
    edited = apply_edit(resid, Edit.set("resid_pre", 0, value=value, rows=1, positions=(2, 0)), LENGTHS)
    assert edited[1].tolist() == [[2, 2], [110, 111], [1, 1]]
    assert torch.equal(edited[0], resid[0])


def test_scale(resid: Tensor) -> None:
    edited = apply_edit(resid, Edit.scale("resid_pre", 0, value=2.0, rows=1, positions=0), LENGTHS)
    assert edited[1].tolist() == [[200, 202], [110, 111], [120, 121]]


def test_zero_heads(heads: Tensor) -> None:
    edited = apply_edit(heads, Edit.zero("z", 0, heads=-1), LENGTHS)
    assert (edited[:, :, 1] == 0).all()
    assert torch.equal(edited[:, :, 0], heads[:, :, 0])


def test_mean_leaves_the_padding_out(resid: Tensor) -> None:
    edited = apply_edit(resid, Edit.mean("resid_pre", 0, positions=0), LENGTHS)
    assert edited[0].tolist() == [[5, 6], [10, 11], [20, 21]]  # of positions 0 and 1
    assert edited[1].tolist() == [[110, 111], [110, 111], [120, 121]]  # of all three


def test_mean_of_one_head(heads: Tensor) -> None:
    edited = apply_edit(heads, Edit.mean("z", 0, heads=1, rows=1), LENGTHS)
    assert edited[1, :, 1].tolist() == [[1110, 1111]] * 3
    assert torch.equal(edited[1, :, 0], heads[1, :, 0])
    assert torch.equal(edited[0], heads[0])


def test_project_out_takes_a_direction_of_any_length() -> None:
    resid = torch.tensor([[[3.0, 4.0]]])
    edited = apply_edit(resid, Edit.project_out("resid_pre", 0, value=torch.tensor([5.0, 5.0])), (1,))
    assert edited.flatten().tolist() == pytest.approx([-0.5, 0.5])  # the mean is gone


def test_project_out_of_each_head_its_own() -> None:
    z = torch.tensor([[[[3.0, 4.0], [3.0, 4.0]]]])
    directions = torch.tensor([[2.0, 0.0], [0.0, 0.1]])  # [head, width]
    edited = apply_edit(z, Edit.project_out("z", 0, value=directions), (1,))
    assert edited[0, 0].tolist() == [[0, 4], [3, 0]]


def test_pattern_is_addressed_by_query_and_head() -> None:
    pattern = grid(2, 2, 3, 3)  # [row, head, query, key]
    edited = apply_edit(pattern, Edit.zero("pattern", 0, positions=-1, heads=1), LENGTHS)
    changed = (edited != pattern).any(-1)  # [row, head, query]
    assert changed.nonzero().tolist() == [[0, 1, 1], [1, 1, 2]]


def test_pattern_values_have_the_shape_of_the_cached_pattern() -> None:
    pattern = torch.zeros(1, 3, 3, 3)  # as many heads as tokens: a swap of the two would go unnoticed
    value = grid(1, 3, 3, 3)  # [row, head, query, key]
    assert torch.equal(apply_edit(pattern, Edit.set("pattern", 0, value=value), (3,)), value)
    one = apply_edit(pattern, Edit.set("pattern", 0, value=value[:, 2:, :2], heads=2, positions=(0, 1)), (3,))
    assert torch.equal(one[:, 2, :2], value[:, 2, :2])
    assert one[:, :2].abs().sum() == one[:, 2, 2].abs().sum() == 0


def test_integer_and_double_values_take_the_dtype_of_the_activation(resid: Tensor) -> None:
    value = torch.tensor([1, 2])
    assert apply_edit(resid, Edit.set("resid_pre", 0, value=value), LENGTHS).dtype == torch.float32
    edit = Edit.set("resid_pre", 0, value=value.double())
    assert apply_edit(resid.bfloat16(), edit, LENGTHS).dtype == torch.bfloat16


@pytest.mark.parametrize("value", [torch.zeros(3), torch.zeros(5, 1, 2), torch.zeros(1, 2, 3, 2)])
def test_a_value_that_does_not_broadcast_is_refused_with_both_shapes(resid: Tensor, value: Tensor) -> None:
    with pytest.raises(EditError, match=r"broadcast.*\[2, 3, 2\]"):
        apply_edit(resid, Edit.add("resid_pre", 0, value=value), LENGTHS)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), torch.tensor([1.0, float("nan")])])
def test_nan_and_infinity_are_refused(resid: Tensor, value: Tensor | float) -> None:
    with pytest.raises(EditError, match="NaN or infinity"):
        check_value(Edit.set("resid_pre", 0, value=value), resid.dtype)


def test_a_zero_direction_is_refused(resid: Tensor) -> None:
    with pytest.raises(EditError, match="is zero"):
        check_value(Edit.project_out("resid_pre", 0, value=torch.zeros(2)), resid.dtype)


@pytest.mark.parametrize("value", [torch.tensor(1.0), torch.ones(1)])
def test_a_direction_of_another_width_is_refused(resid: Tensor, value: Tensor) -> None:
    with pytest.raises(EditError, match="width 2"):
        apply_edit(resid, Edit.project_out("resid_pre", 0, value=value), LENGTHS)


def test_a_position_named_from_both_ends_is_refused(resid: Tensor) -> None:
    edit = Edit.add("resid_pre", 0, value=1.0, positions=(0, -2))  # the same one in the prompt of two tokens
    with pytest.raises(EditError, match="twice"):
        apply_edit(resid, edit, LENGTHS)


def test_a_head_named_from_both_ends_is_refused(heads: Tensor) -> None:
    with pytest.raises(EditError, match="twice"):
        apply_edit(heads, Edit.add("z", 0, value=1.0, heads=(1, -1)), LENGTHS)


def test_edits_at_one_site_are_carried_out_in_their_order(resid: Tensor) -> None:
    add, double = Edit.add("resid_pre", 0, value=1.0), Edit.scale("resid_pre", 0, value=2.0)
    assert torch.equal(Taps([], [add, double], LENGTHS).visit("resid_pre", 0, resid), 2 * (resid + 1))
    assert torch.equal(Taps([], [double, add], LENGTHS).visit("resid_pre", 0, resid), 2 * resid + 1)


def test_what_is_read_is_the_value_after_the_edit(resid: Tensor) -> None:
    taps = Taps([Address("resid_pre", 0)], [Edit.zero("resid_pre", 0)], LENGTHS)
    taps.visit("resid_pre", 0, resid)
    assert (taps.values["resid_pre", 0] == 0).all()


def test_a_value_without_edits_passes_through_as_it_is(resid: Tensor) -> None:
    taps = Taps([Address("resid_pre", 0)], [Edit.zero("resid_pre", 1)], LENGTHS)
    assert taps.visit("resid_pre", 0, resid) is resid


def test_an_edit_that_was_never_reached_is_an_error(resid: Tensor) -> None:
    taps = Taps([], [Edit.zero("resid_pre", 1)], LENGTHS)
    taps.visit("resid_pre", 0, resid)
    with pytest.raises(EditError, match=r"blocks\.1\.hook_resid_pre"):
        taps.check_all_visited()
