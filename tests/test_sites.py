"""Addresses and edits: they print, parse and refuse."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interp.edits import OPS, Edit
from interp.errors import EditError, SiteError
from interp.sites import SITES, Address, parse_sites

indices = st.none() | st.lists(st.integers(-50, 50), min_size=1, max_size=4, unique=True).map(tuple)


@st.composite
def addresses(draw) -> Address:
    site = SITES[draw(st.sampled_from(sorted(SITES)))]
    return Address(
        site.name,
        draw(st.integers(0, 99)) if site.per_layer else None,
        draw(indices),
        draw(indices) if site.per_head else None,
        draw(indices),
    )


@given(addresses())
def test_address_prints_and_parses(address):
    assert Address.parse(str(address)) == address


@given(addresses(), st.sampled_from(OPS), st.floats(-1e6, 1e6, width=32))
def test_edit_goes_to_a_dictionary_and_back(address, op, number):
    if op == "mean" and address.site == "pattern":
        return
    value = None if op in ("zero", "mean") else torch.tensor([number, 1.0])
    edit = Edit(op, address, value)
    again = Edit.from_dict(edit.to_dict())
    assert (again.op, again.address) == (edit.op, edit.address)
    if value is not None:
        assert torch.equal(torch.as_tensor(again.value), value)


def test_names_are_those_of_transformer_lens():
    assert str(Address("resid_post", 9)) == "blocks.9.hook_resid_post"
    assert str(Address("z", 9, heads=6)) == "blocks.9.attn.hook_z[head=6]"
    assert str(Address("embed")) == "hook_embed"
    assert Address.parse("blocks.3.attn.hook_rot_q") == Address("q", 3)


def test_parse_sites_takes_every_form_once():
    wanted = ["resid_post", ("resid_post", 1), "blocks.0.attn.hook_z", Address("embed")]
    assert [str(a) for a in parse_sites(wanted, n_layers=2)] == [
        "blocks.0.hook_resid_post",
        "blocks.1.hook_resid_post",
        "blocks.0.attn.hook_z",
        "hook_embed",
    ]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Address("resid_prr", 0), "did you mean 'resid_pre'"),
        (lambda: Address("resid_pre"), "say which"),
        (lambda: Address("embed", 0), "belongs to no layer"),
        (lambda: Address("resid_pre", 0, heads=1), "no heads"),
        (lambda: Address("resid_pre", 0, positions=()), "matches nothing"),
        (lambda: Address("resid_pre", 0, positions=(1, 1)), "twice"),
        (lambda: Address.parse("blocks.0.hook_resid_prex"), "Unknown hook name"),
        (lambda: Address.parse("blocks.x.hook_z"), "Unknown hook name"),
        (lambda: Address.parse("blocks.0.attn.hook_z[head=six]"), "Cannot read"),
        (lambda: Address.parse("blocks.0.attn.hook_z]"), "not an address"),
    ],
)
def test_bad_addresses(make, says):
    with pytest.raises(SiteError, match=says.replace("(", r"\(")):
        make()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Edit("sett", Address("z", 0), 1.0), "did you mean 'set'"),
        (lambda: Edit("set", Address("z", 0)), "needs a value"),
        (lambda: Edit("zero", Address("z", 0), 1.0), "takes no value"),
        (lambda: Edit.mean("pattern", 0), "attend to the future"),
    ],
)
def test_bad_edits(make, says):
    with pytest.raises(EditError, match=says):
        make()


@pytest.mark.parametrize(
    ("misspelt", "right"), [("head", "heads"), ("position", "positions"), ("row", "rows")]
)
def test_a_misspelt_keyword_is_one_sentence_with_the_right_name(misspelt, right):
    sentence = f"There is no '{misspelt}' to give here; did you mean '{right}'?"
    for make, error in ((Edit.zero, EditError), (Edit.mean, EditError), (Address, SiteError)):
        with pytest.raises(error) as raised:
            make("z", 4, **{misspelt: 2})
        assert str(raised.value) == sentence
    for make in (Edit.set, Edit.add, Edit.scale, Edit.project_out):
        with pytest.raises(EditError, match=f"did you mean '{right}'"):
            make("z", 4, value=torch.ones(1), **{misspelt: 2})


def test_one_number_and_several_are_taken_alike():
    several = Edit.zero("z", 4, positions=[3], heads=(2,), rows=[0]).address
    assert Edit.zero("z", 4, positions=3, heads=2, rows=0).address == several
    assert Address("z", 4, 3, 2, 0) == several
