"""Every page asks one question and says how its answer is read, in words that have an entry."""

import pytest

from app_pages import texts
from interp.app.views.explanations import EXPLANATIONS, GLOSSARY


def test_every_word_has_an_entry_and_every_entry_is_used():
    used = {term for explanation in EXPLANATIONS.values() for term in explanation.terms}
    assert used == set(GLOSSARY)
    for explanation in EXPLANATIONS.values():
        assert explanation.question.endswith("?")
        assert len(explanation.how.split()) < 120


@pytest.mark.parametrize("name", EXPLANATIONS)
def test_a_page_has_its_question_and_its_words(open_page, name):
    page = open_page(name).run()
    assert not page.exception
    explanation = EXPLANATIONS[name]
    assert page.title[0].value == explanation.title
    shown = texts(page)
    assert explanation.question in shown
    assert explanation.how in shown
    assert all(f"**{term}**" in shown for term in explanation.terms)
