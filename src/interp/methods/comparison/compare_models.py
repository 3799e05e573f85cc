"""Two models of one architecture: where do they differ, and which part makes the difference?

Before and after fine-tuning, two checkpoints of one training, two precisions of the same weights. Three
questions:

1. *On a text*: how alike are their streams after each layer (`interp.methods.comparison.alikeness`), and how
   far are their losses and predictions apart? An untrained model of their shape is the yardstick.
2. *On tasks*: the metric of both side by side, and after which layer the logit lens reads the answer.
3. *Where*: stitched runs (`interp.methods.comparison.stitching`), each part of the one in the other. The
   share of the difference that a part closes is of KL(donor || run), so that it is about the whole prediction
   and is defined whatever the metric does. An identical model closes nothing, and changes nothing.

When it misleads: see `alikeness` and `stitching`. A difference that is spread over many parts is closed by
none of them alone, and shares of parts need not add up to 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from interp.errors import InputError, check_choice
from interp.methods.comparison.comparable import Shape, check_comparable, labels_of, weight_bytes
from interp.methods.comparison.on_tasks import two_on_task
from interp.methods.comparison.on_text import two_on_text
from interp.methods.comparison.results import CompareModelsResult
from interp.methods.comparison.stitching import SITES
from interp.methods.lens.lens import layer_names, stream_layers
from interp.metrics import METRICS, MetricKind
from interp.models.base import Exact, Model
from interp.models.modes import outside_inference_mode
from interp.provenance import Provenance
from interp.tasks.base import PairDataset
from interp.tokens import Prompt


@outside_inference_mode
def compare_models(
    model: Model,
    other: Model,
    *,
    text: Sequence[Prompt] = (),
    datasets: Sequence[PairDataset] = (),
    stitch: Sequence[str] = SITES,
    metric: MetricKind = "logit_diff",
    untrained: bool = True,
    described: str = "the given text",
    exact: Exact = "auto",
    seed: int = 0,
) -> CompareModelsResult:
    """Compare two models of one architecture, shape and vocabulary.

    Args:
        text: sequences, as text or token ids, of which streams and losses are compared.
        datasets: tasks (`interp.make_dataset`), of which the clean prompts are asked; made for `model`.
        stitch: the sites of which parts are carried over: ``resid_pre`` (cuts), ``attn_out``, ``mlp_out``,
            ``z`` (heads); none: no stitched runs. A site that the models do not have is a `SiteError`.
        metric: ``logit_diff``, ``prob`` or ``log_prob``.
        untrained: compare both with an untrained model of their shape, too, on the text.
        described: in words, what text it is.
        exact: see `interp.Model.sweep`.
        seed: of the intervals, and of the untrained model.

    Within `interp.resume.resuming`, pairs that were done before it was stopped are not asked again.

    Raises `InputError` where the models differ in architecture, shape, vocabulary or BOS, and where there is
    neither a text nor a task.
    """
    check_comparable(Shape.of(model), Shape.of(other))
    if not text and not datasets:
        raise InputError("There is nothing to compare the models on; give a text, a dataset, or both.")
    check_choice("metric", metric, [name for name in METRICS if name != "kl"])
    check_stitches(model, stitch)
    check_stitches(other, stitch)
    models = (model, other)
    on_text = None
    if text:
        on_text = two_on_text(models, text, untrained=untrained, described=described, seed=seed)
    tasks = [
        two_on_task(models, dataset, metric=metric, sites=stitch, exact=exact, seed=seed)
        for dataset in datasets
    ]
    return CompareModelsResult(
        provenance=Provenance.of(model, seed=seed),
        names=labels_of(model, other),
        other=Provenance.of(other, seed=seed),
        weight_bytes=(weight_bytes(model.hf_model), weight_bytes(other.hf_model)),
        layers=layer_names(stream_layers(model)),
        text=on_text,
        tasks=tuple(tasks),
    )


def check_stitches(model: Model, sites: Sequence[str]) -> None:
    """`InputError` or `SiteError` for what cannot be carried over."""
    for site in sites:
        check_choice("site to stitch", site, SITES)
        model.check_site(site)
    if len(set(sites)) < len(sites):
        raise InputError("A site to stitch is named twice; name each once.")
