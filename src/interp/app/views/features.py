"""The page Features without its widgets: a prompt's features, and all about the one chosen.

A feature's contexts and histogram are in `feature_html`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from interp.app.views.questions import LibraryQuestion
from interp.errors import InputError
from interp.figures.engine.notation import brief, count, decimal, show_token
from interp.figures.engine.view import Bars, Grid, Table
from interp.figures.views.prompt_features import SAYS, prompt_grid
from interp.zoo import NAMES

if TYPE_CHECKING:
    from interp.methods.features.profile_results import FeatureProfile, FeatureProfilesResult
    from interp.methods.features.results import LabelFeaturesResult, PromptFeaturesResult, SAEFeaturesResult
    from interp.models.base import Model
    from interp.saes.descriptions import FeatureDescription
    from interp.saes.reading import FeatureRecord

#: Prompts that the demo models answer, one click each; the first is what the page begins with.
EXAMPLES: tuple[str, ...] = (
    "When Mary and John went to the store, John gave a drink to",
    "The capital of France is",
    "The trip began in the year 23 and ended in the year",
)
#: A published SAE of a model that has none in the package.
PUBLISHED = {"gpt2": "jbloom/GPT2-Small-SAEs-Reformatted:blocks.8.hook_resid_pre"}

TOP = 10  # features listed of each token
ROWS = 14  # features in the grid
SEQUENCES, LENGTH = 128, 128  # of the text that features are read on
_WRITERS = 8
_LABELS = 6


def has_sae(model: str) -> bool:
    """Whether an SAE of a model is known here."""
    return model in NAMES or model in PUBLISHED


def own_sae(model: str) -> str:
    """The SAE that goes with a model: the one in the package, or a published one."""
    if model in NAMES:
        return model
    if model in PUBLISHED:
        return PUBLISHED[model]
    raise InputError(
        f"No SAE of {model!r} is known here; give a folder that interp run train_sae wrote, or "
        "org/repo:folder on the hub."
    )


@dataclass(frozen=True)
class SAEFeatures:
    """The strongest features of each token of a prompt."""

    sae: str
    prompt: str

    def __call__(self, model: Model) -> SAEFeaturesResult:
        from interp.methods.features.sae_features import sae_features
        from interp.saes.sources import load_sae

        return sae_features(model, load_sae(self.sae, model), self.prompt, top=TOP)


@dataclass(frozen=True, eq=False)
class TextReading:
    """What every feature does on a text, and the labels that they say; None where the text has no labels."""

    record: FeatureRecord
    labels: LabelFeaturesResult | None
    neuronpedia: str | None
    #: Kept in the SAE's folder, by feature.
    descriptions: dict[int, FeatureDescription] = field(default_factory=dict)

    def label_of(self, feature: int) -> str | None:
        """What a feature is called in the SAE's folder, else the label that it says, if it says one at all
        well."""
        if feature in self.descriptions:
            return self.descriptions[feature].label
        return None if self.labels is None else self.labels.label_said_by(feature, least=SAYS)


@dataclass(frozen=True)
class ReadText:
    """All features on a text, which is gone through once; from then on each of them is there at once."""

    sae: str
    text: str = "demo"

    def work(self, model: Model) -> int:
        return SEQUENCES * LENGTH

    def __call__(self, model: Model) -> TextReading:
        from interp.methods.features.feature_labels import label_features
        from interp.saes.descriptions import read_descriptions
        from interp.saes.neuronpedia import neuronpedia_id
        from interp.saes.reading import reading_text, record_features
        from interp.saes.sources import load_sae, sae_folder

        sae = load_sae(self.sae, model)
        text = reading_text(model, self.text, sequences=SEQUENCES, length=LENGTH)
        record = record_features(model, sae, text)
        labels = label_features(model, record) if text.label_names else None
        folder = sae_folder(self.sae)
        neuronpedia = neuronpedia_id(sae.identity, self.sae, folder=folder)
        return TextReading(record, labels, neuronpedia, read_descriptions(folder))


@dataclass(frozen=True)
class FeatureProfiles:
    """All about some features on a text."""

    read_text: ReadText
    features: tuple[int, ...]
    reading: TextReading = field(compare=False)  # the answer to `read_text`

    def __call__(self, model: Model) -> FeatureProfilesResult:
        from interp.methods.features.feature_profiles import feature_profiles

        reading = self.reading
        return feature_profiles(model, reading.record, self.features, neuronpedia=reading.neuronpedia)


# ---- the features of the prompt ----


def feature_grid(result: SAEFeaturesResult, reading: TextReading) -> Grid:
    """The strongest features over the tokens of the prompt, with the labels that they say."""
    return prompt_grid(result, {f: feature_name(f, reading) for f in result.strongest(ROWS)}, rows=ROWS)


def feature_name(feature: int, reading: TextReading) -> str:
    """``490 (indirect_object)``, or the number alone where the feature says no label well."""
    label = reading.label_of(feature)
    return str(feature) if label is None else f"{feature} ({label})"


def strongest_at(result: SAEFeaturesResult, position: int) -> tuple[tuple[int, float], ...]:
    """The strongest features of one token, (feature, strength)."""
    pairs = zip(result.features[position].tolist(), result.values[position].tolist(), strict=True)
    return tuple((feature, value) for feature, value in pairs if feature >= 0)


def prompt_in_words(result: SAEFeaturesResult) -> str:
    """How many features the SAE has, and how many are active at a token."""
    sae = result.sae
    return f"{sae.n_features} features of {sae.site}; {decimal(result.l0, 1)} are active at a token."


def token_in_words(result: SAEFeaturesResult, reading: TextReading, position: int) -> str:
    """How many features are active at a token, how much of its activation they give, and the strongest."""
    place = f"Position {position}: {brief(result.tokens[position])}"
    if position in result.excluded:
        return f"{place} is not counted; the SAE was trained without the first position."
    share = 100 * float(result.explained[position])
    active = count(int(result.n_active[position]), "active feature")
    named = [
        f"{feature_name(feature, reading)} at {decimal(value, 1)}"
        for feature, value in strongest_at(result, position)[:1]
    ]
    return f"{place}: {'; '.join([f'{share:.0f} % of its activation is in {active}', *named])}."


def first_choice(result: SAEFeaturesResult, reading: TextReading) -> int:
    """The feature that the page begins with: the last token's strongest that says a label, or its strongest
    where none does."""
    features = [feature for feature, _ in strongest_at(result, len(result.tokens) - 1)]
    return next((f for f in features if reading.label_of(f)), features[0] if features else 0)


def best_of_labels(reading: TextReading) -> dict[str, int]:
    """The best feature of each label, the labels said best first."""
    labels = reading.labels
    if labels is None:
        return {}
    order = (-labels.best_scores[:, 0, 2]).argsort(kind="stable")
    return {labels.labels[i]: int(labels.features[i, 0]) for i in order}


# ---- one feature ----


def activity_in_words(profile: FeatureProfile, n_tokens: int) -> str:
    """How often and how strongly a feature is active, in a sentence."""
    if not profile.n_active:
        return "Nowhere active in this text."
    return (
        f"Active at {100 * profile.density:.2f} % of tokens ({profile.n_active:,} of {n_tokens:,}), up to "
        f"{decimal(profile.strongest, 1)}."
    )


def description_in_words(feature: int, reading: TextReading) -> str | None:
    """What a feature is called in the SAE's folder, by whom, and how good the name is; None where it has
    none."""
    found = reading.descriptions.get(feature)
    if found is None:
        return None
    said = f"Called “{found.label}” by {found.by}"
    if found.score is None:
        return f"{said}; the name has no score."
    beside = "" if found.shuffled is None else f" ({decimal(found.shuffled)} by another feature's name)"
    score = f"a balanced accuracy of {decimal(found.score)}{beside}"
    return f"{said}: by that one tells where it is active with {score}."


def label_table(profile: FeatureProfile) -> Table:
    """How well the feature says its best labels."""
    rows = tuple(
        (
            label.label,
            *(decimal(v) for v in (label.precision, label.recall)),
            decimal(label.threshold, 1),
            *(decimal(v) for v in (label.best_precision, label.best_recall, label.best_f1)),
        )
        for label in profile.labels.rows[:_LABELS]
    )
    columns = ("label", "P > 0", "R > 0", "from", "P", "R", "F1")
    return Table(columns, rows, title="Labels: precision (P) and recall (R) on held-out text")


def logit_table(profile: FeatureProfile) -> Table:
    """The logits that the feature raises and lowers directly, where it is strongest."""
    both = zip(profile.raised.rows, profile.lowered.rows, strict=True)
    rows = tuple(
        (show_token(up), f"+{decimal(more)}", show_token(down), decimal(less))
        for (up, more), (down, less) in both
    )
    return Table(("raised", "by", "lowered", "by "), rows, title="Logits, directly, where it is strongest")


def writer_bars(profile: FeatureProfile) -> Bars:
    """What the largest senders give to the feature's pre-activation at its strongest contexts."""
    largest = sorted(profile.writers.rows, key=lambda writer: -abs(writer.part))[:_WRITERS]
    return Bars(
        tuple(writer.sender for writer in largest),
        tuple(writer.part for writer in largest),
        unit="pre-activation",
        title="Written by",
        note="Means over its four strongest contexts. All senders and the constant sum to the whole.",
    )


# ---- to copy and to download ----


@dataclass(frozen=True)
class PromptFeatures(LibraryQuestion):
    """The experiment that reads the same prompt and features."""

    method: ClassVar[str] = "prompt_features"
    sae: str
    prompt: str
    features: tuple[int, ...]
    text: str

    @property
    def arguments(self) -> dict[str, Any]:
        return {**super().arguments, "sequences": SEQUENCES, "length": LENGTH}

    def __call__(self, model: Model) -> PromptFeaturesResult:
        raise NotImplementedError("Its parts are asked one by one; `experiment_result` puts them together.")


def experiment_result(
    result: SAEFeaturesResult, reading: TextReading, profiles: FeatureProfilesResult
) -> PromptFeaturesResult:
    """What the experiment gives, put together from its parts."""
    from interp.methods.features.results import PromptFeaturesResult

    return PromptFeaturesResult(
        provenance=result.provenance, prompt=result, profiles=profiles, labels=reading.labels
    )


def as_python(model: str, question: PromptFeatures) -> str:
    """A program that finds what is active in the prompt and writes the dashboard."""
    return (
        f"import interp\n\nmodel = interp.load_model({model!r})\n"
        f"sae = interp.load_sae({question.sae!r}, model)\n"
        f"in_prompt = interp.sae_features(model, sae, {question.prompt!r})\n"
        f"text = interp.reading_text(model, {question.text!r}, sequences={SEQUENCES}, length={LENGTH})\n"
        "record = interp.record_features(model, sae, text)\n"
        f"profiles = interp.feature_profiles(model, record, {list(question.features)})\n"
        'interp.feature_dashboard(profiles, "features.html")\n'
    )
