"""JumpReLU and gates in training beside their formulas, written plainly."""

from __future__ import annotations

import pytest
import torch

from interp.saes.batch_features import BANDWIDTH, DenseFeatures, GatedStep, JumpReLUStep


@pytest.fixture
def draw():
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


def gradients(found, weights, of):
    total = sum((one * weight).sum() for one, weight in zip(found, weights, strict=True))
    return torch.autograd.grad(total, of)


def test_jumprelu_has_the_gradients_of_its_estimators(draw):
    """Equations 11 and 12: of a value, and of the number of features, to the threshold."""
    pre, threshold = draw(150, 12) / 5, (draw(12) / 50).abs().requires_grad_()
    pre.requires_grad_()
    of_values, of_numbers = draw(150, 12), draw(150)
    values, numbers = JumpReLUStep.apply(pre, threshold)
    with torch.no_grad():
        above = pre > threshold
        torch.testing.assert_close(values, torch.where(above, pre, 0.0))
        torch.testing.assert_close(numbers, above.sum(-1).double())
        kernel = lambda z: ((z - threshold).abs() < BANDWIDTH / 2) / BANDWIDTH  # noqa: E731
        to_threshold = -(threshold * kernel(pre.relu()) * of_values).sum(0)
        to_threshold -= (kernel(pre) * of_numbers[:, None]).sum(0)
        right = above * of_values, to_threshold
    found = gradients((values, numbers), (of_values, of_numbers), (pre, threshold))
    for one, other in zip(found, right, strict=True):
        torch.testing.assert_close(one, other)
    assert (right[1] != 0).all()


def test_gates_let_magnitudes_through_and_get_no_gradient(draw):
    of = pre, b_enc, scale, shift = draw(150, 12), draw(12), draw(12).exp(), draw(12)
    for one in of:
        one.requires_grad_()
    weight = draw(150, 12)
    plain = ((pre - b_enc) * scale + shift).relu() * (pre.detach() > 0)
    values = GatedStep.apply(*of)
    torch.testing.assert_close(values, plain)
    for one, other in zip(gradients([values], [weight], of), gradients([plain], [weight], of), strict=True):
        torch.testing.assert_close(one, other)


def test_features_are_counted(draw):
    values = draw(100, 7).relu()
    assert DenseFeatures(values).number == values.count_nonzero()
