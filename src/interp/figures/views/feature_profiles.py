"""What features of an SAE are about: each in a line, and the contexts in which each is strongest."""

from __future__ import annotations

from interp.figures.engine.notation import count, decimal, show_text
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Table, View, Words
from interp.figures.views.prompt_features import feature_name, profile_table, strongest_tokens
from interp.methods.features.profile_results import Context, FeatureProfile, FeatureProfilesResult

_READ = 4  # features whose contexts are shown
_CONTEXTS = 6  # of each


def view(result: FeatureProfilesResult) -> View:
    """The features in a line each, and the strongest contexts of the first of them."""
    profiles = result.profiles
    first = profiles[0]
    verdict = (
        f"Feature {feature_name(first)} is strongest at {strongest_tokens(first)}."
        if first.contexts
        else f"Feature {first.feature} is nowhere active on this text."
    )
    read = [profile for profile in profiles if profile.contexts][:_READ]
    left = [f"Contexts of the first {_READ} features."] if len(profiles) > _READ else []
    return View(
        title="What are the features about?",
        above=(
            f"SAE of {show_text(result.sae.model)} at {result.sae.site}: {result.sae.n_features} features, "
            f"{result.sae.activation}. Read on {show_text(result.text)}, {count(result.n_tokens, 'token')}.",
        ),
        blocks=(
            Words(verdict, strong=True, name="verdict"),
            profile_table(result),
            *(_context_table(profile) for profile in read),
        ),
        below=(
            *left,
            f"Not counted: {result.excluded}.",
            *(f"No {part.what}: {part.why}" for part in result.left_out),
            "What a feature is about is read off where it is strongest; elsewhere it may say something else.",
        ),
    )


def _context_table(profile: FeatureProfile) -> Table:
    """Where a feature is strongest: the token, and the text on either side of it."""
    rows = tuple(
        (decimal(max(context.strengths), 1), *_around(context)) for context in profile.contexts[:_CONTEXTS]
    )
    columns = ("strength", "before", "token", "after")
    title = f"Feature {feature_name(profile)} in context"
    return Table(columns, rows, title=title, name=f"contexts_{profile.feature}")


def _around(context: Context) -> tuple[str, str, str]:
    """The marked token, and what stands on either side of it."""
    at = context.marked
    sides = "".join(context.tokens[:at]), context.tokens[at], "".join(context.tokens[at + 1 :])
    before, token, after = map(show_text, sides)
    return before, token, after


figure, table, report = presentation(view)
