"""Which labels the features of the demo models' SAEs say, as a Markdown table for docs/saes.md.

python docs/features.py [FOLDER]

With FOLDER, the SAEs are those in FOLDER/demo-gpt2 and FOLDER/demo-qwen3 instead of the package's.
"""

from __future__ import annotations

import sys

import interp
from interp.methods.features.feature_labels import LabelFeaturesResult
from interp.saes.reading import FeatureRecord
from interp.zoo.people import STATUSES

LEAST = 0.5  # F1 from which on a label is listed


def read(name: str, source: str) -> tuple[FeatureRecord, LabelFeaturesResult]:
    model = interp.load_model(name)
    record = interp.record_features(model, interp.load_sae(source, model), interp.reading_text(model))
    return record, interp.label_features(model, record)


def cells(result: LabelFeaturesResult, label: str) -> str:
    i = result.labels.index(label)
    precision, recall, f1 = result.best_scores[i, 0]
    return f"{result.features[i, 0]} | {precision:.2f} | {recall:.2f} | {f1:.2f}"


def people(record: FeatureRecord, result: LabelFeaturesResult) -> str:
    """At the ends of whose names the best feature for the end of a withheld person's is above its threshold,
    over all of the text."""
    i = result.labels.index("withheld, last")
    feature, threshold = int(result.features[i, 0]), float(result.thresholds[i, 0])
    tokens, values = record.of(feature)
    above = tokens[values >= threshold]
    text = record.text
    ends = {of: text.labels[text.label_names.index(f"{of}, last")] & record.counted for of in STATUSES}
    counts = ", ".join(f"{int(end[above].sum())} of {int(end.sum())} {of}" for of, end in ends.items())
    return f"feature {feature} from {threshold:.1f} is on at {len(above)} tokens, the ends of names: {counts}"


def main(folder: str | None) -> None:
    names = ("demo-gpt2", "demo-qwen3")
    both = [read(name, name if folder is None else f"{folder}/{name}") for name in names]
    found = [result for _, result in both]
    print("| label | tokens | " + " | ".join(f"{name}: feature | P | R | F1" for name in names) + " |")
    print("|---|---:|" + "---:|---:|---:|---:|" * len(names))
    first = found[0]
    order = sorted(first.labels, key=lambda label: -first.best_scores[first.labels.index(label), 0, 2])
    rest = []
    for label in order:
        highest = [float(r.best_scores[r.labels.index(label), 0, 2]) for r in found]
        if max(highest) < LEAST:
            rest.append(f"{label} ({' and '.join(f'{f1:.2f}' for f1 in highest)})")
            continue
        n = first.n_with_label[first.labels.index(label)]
        print(f"| {label} | {n} | " + " | ".join(cells(result, label) for result in found) + " |")
    print()
    print(f"Below {LEAST} in both: {', '.join(rest)}.")
    for name, (record, result) in zip(names, both, strict=True):
        print(f"{name}: {people(record, result)}.")
    print(f"Text: {first.text}; {first.n_tokens} tokens are counted.")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
