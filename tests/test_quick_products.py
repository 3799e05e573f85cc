"""Products by oneDNN: the same numbers as torch's own, and where they are left alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from interp import load_model, onednn
from interp.models.linear_map import is_its_weight
from interp.models.quick_products import QuickConv1D, QuickLinear, with_quick_products
from interp.saes.products import product

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch was built without oneDNN"
)


@pytest.fixture
def on_such_a_processor(monkeypatch):
    monkeypatch.setattr(onednn, "is_quicker", lambda: True)


def both(module):
    """A layer as it is, and with quick products."""
    quick = type(module).__new__(type(module))
    quick.__dict__ = module.__dict__.copy()
    with_quick_products(quick)
    return module, quick


@pytest.mark.parametrize("rows", [(1,), (300,), (3, 100)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer_gives_the_same(on_such_a_processor, rows, bias):
    torch.manual_seed(0)
    plain, quick = both(nn.Linear(2048, 512 if len(rows) > 1 or rows[0] > 1 else 1024, bias=bias))
    x = torch.randn(*rows, 2048)
    assert (type(plain), type(quick)) == (nn.Linear, QuickLinear)
    with torch.no_grad():
        torch.testing.assert_close(quick(x), plain(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rows", [(1,), (300,), (3, 100)])
def test_a_conv1d_gives_the_same(on_such_a_processor, rows):
    torch.manual_seed(0)
    plain, quick = both(Conv1D(1024, 2048))
    nn.init.normal_(plain.bias)
    x = torch.randn(*rows, 2048)
    assert type(quick) is QuickConv1D
    with torch.no_grad():
        torch.testing.assert_close(quick(x), plain(x), rtol=1e-4, atol=1e-4)


def test_gradients_and_other_precisions_are_torchs_own(on_such_a_processor, monkeypatch):
    plain, quick = both(nn.Linear(2048, 1024))
    monkeypatch.setattr(onednn, "linear", lambda *args: pytest.fail("oneDNN was called"))
    x = torch.randn(4, 2048, requires_grad=True)
    torch.testing.assert_close(
        torch.autograd.grad(quick(x).sum(), x)[0], torch.autograd.grad(plain(x).sum(), x)[0]
    )
    with torch.no_grad():
        quick(x[:, :2048][:0])  # no rows
        assert quick.double()(x.double()).dtype == torch.float64


def test_small_products_are_torchs_own(on_such_a_processor, monkeypatch):
    _, quick = both(nn.Linear(64, 64))
    monkeypatch.setattr(onednn, "linear", lambda *args: pytest.fail("oneDNN was called"))
    with torch.no_grad():
        quick(torch.randn(4, 64))


def test_hooks_and_what_wraps_a_layer_still_act(on_such_a_processor):
    class Doubled(nn.Linear):
        def forward(self, input):
            return 2 * super().forward(input)

    doubled, model = Doubled(2048, 1024), nn.Sequential(nn.Linear(2048, 1024))
    with_quick_products(nn.Sequential(doubled))
    with_quick_products(model)
    assert type(doubled) is Doubled
    seen = []
    model[0].register_forward_hook(lambda *args: seen.append(True))
    with torch.no_grad():
        model(torch.randn(4, 2048))
    assert seen == [True]
    assert not is_its_weight(model[0])


def test_a_layer_with_quick_products_is_read_off_its_weight(on_such_a_processor):
    _, quick = both(nn.Linear(8, 8))
    assert is_its_weight(quick)


def test_a_loaded_model_has_them_and_a_model_in_memory_is_left_alone(on_such_a_processor):
    kinds = {type(module) for module in load_model("demo-qwen3").hf_model.modules()}
    assert kinds & {nn.Linear, QuickLinear} == {QuickLinear}
    owned = load_model("demo-qwen3").hf_model
    for module in owned.modules():
        if type(module) is QuickLinear:
            module.__class__ = nn.Linear
    load_model(owned, load_model("demo-qwen3").tokenizer)
    assert QuickLinear not in {type(module) for module in owned.modules()}


def test_an_intel_processor_is_left_alone(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": "Intel Xeon"}, raising=False)
    assert not onednn.is_quicker.__wrapped__()


def test_products_of_training_have_their_gradients(on_such_a_processor):
    torch.manual_seed(0)
    a, b = torch.randn(64, 48, requires_grad=True), torch.randn(48, 96, requires_grad=True)
    weight = torch.randn(64, 96)
    found = torch.autograd.grad((product(a, b) * weight).sum(), (a, b))
    right = torch.autograd.grad((a @ b * weight).sum(), (a, b))
    for one, other in zip(found, right, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
