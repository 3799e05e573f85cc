"""What each page asks, how it is read, and what its words mean: for who opens it for the first time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Explanation:
    """The one question of a page, how to read its answer, and the words in it that have an entry."""

    title: str
    question: str
    how: str
    terms: tuple[str, ...]


GLOSSARY: dict[str, str] = {
    "token": (
        "A piece of text that the model reads and says: a word with the space before it (␣Paris), or "
        "part of one. ␣ is a space, ↵ a line end."
    ),
    "BOS": (
        "The token that stands before the text (beginning of sequence). Many heads look at it when they "
        "have nothing to look for."
    ),
    "residual stream": (
        "What the model holds at a token: a list of numbers that each layer reads and adds to. resid_pre "
        "is the stream before a layer, resid_post after it."
    ),
    "layer": (
        "A step of the model: attention, which brings information from earlier tokens, then an MLP, "
        "which works on each token by itself. Layers count from 0."
    ),
    "head": (
        "A part of a layer's attention; 5.1 is head 1 of layer 5. Its pattern says where it looks, z "
        "what it takes from there."
    ),
    "attention": (
        "How much a head looks at each earlier token from where it is: shares that sum to 1. attn_out is "
        "what all heads of a layer write together."
    ),
    "MLP": "The part of a layer that works on each token by itself; mlp_out is what it writes.",
    "neuron": "One number inside an MLP; 5.310 is neuron 310 of layer 5.",
    "direction": (
        "A vector in the residual stream, such as from one kind of prompts to another; along it something "
        "can be added or taken out."
    ),
    "logit": (
        "The score that the model gives a token. One logit more: e times (2.7 times) as likely beside "
        "the others."
    ),
    "logit difference": (
        "The logit of the answer less that of the foil: how far one is ahead of the other, whatever else "
        "is likely."
    ),
    "probability": "How likely the model finds a token, of all tokens of the vocabulary, from 0 to 1.",
    "rank": "The place of a token when all are sorted by probability; 1 is what the model says.",
    "entropy": "How uncertain a prediction is, in nats: 0 where one token has all of it.",
    "logit lens": (
        "Reading the residual stream after a layer as if it were the last: with the model's own final "
        "norm and unembedding."
    ),
    "tuned lens": (
        "A logit lens with a linear map for each layer in front, trained so that it says what the model says "
        "in the end: it reads early layers in their own language."
    ),
    "Jacobian lens": (
        "A lens whose map for each layer is how the last layer answers to a small change there, on average "
        "over text."
    ),
    "patchscope": (
        "A lens by the model itself: the activation is put into another prompt, which is made so that the "
        "model says what it stands for."
    ),
    "direct logit attribution": (
        "What each part of the model writes into the logit of a token directly. What it does by way of "
        "later layers is not in it."
    ),
    "answer": (
        "The token that is expected to follow the prompt; several tokens, or several forms with bars "
        "between them, can be given."
    ),
    "foil": "A wrong answer that competes with the right one.",
    "clean and corrupted": "Two prompts of as many tokens that differ in what decides the answer.",
    "patching": "Putting an activation of one run in the place of the other run's.",
    "denoising": (
        "Clean into corrupted: does this activation by itself bring the answer back? It shows what suffices."
    ),
    "noising": "Corrupted into clean: is the answer lost without this activation? It shows what is needed.",
    "recovery": "1: the answer is as in the run that the activation came from; 0: nothing changed.",
    "margin": "By how many logits a token must be ahead of the other to be called ahead.",
    "hand-off": "The layer from which on the token that leads at the end is ahead.",
    "induction": (
        "Looking at the token after an earlier occurrence of this one: how models go on with what they saw."
    ),
    "duplicate token": "Looking at an earlier occurrence of the same token.",
    "previous token": "Looking at the token just before.",
    "ablation": "Taking a part out: by zeros, by its mean, or by what it is on another text (resample).",
    "loss": "How surprised the model is at a text, in nats a token; less is better.",
    "circuit": (
        "A part of the model that does a task by itself. Files are in the format of EAP-IG (edge "
        "attribution patching with integrated gradients)."
    ),
    "feature": (
        "A direction in the residual stream that a sparse autoencoder found, which is active on few tokens."
    ),
    "sparse autoencoder": "A dictionary (SAE): it writes an activation as a sum of few of its many features.",
    "transcoder": (
        "A dictionary that does an MLP's work: from what the MLP reads it says, by few features, what the "
        "MLP writes."
    ),
    "pre-activation": "What a feature or neuron computes before what is below its threshold is set to zero.",
    "AUROC": (
        "How well a number tells two groups apart: of a pair, one of each, how often it is higher for the "
        "right one. 0.5 is chance, 1 perfect."
    ),
    "surface": (
        "What the text alone tells of the group, such as the length of names; a probe that is no better has "
        "found nothing inside."
    ),
    "nats": "The unit of entropy, loss and log-probability: one nat more is e times (2.7 times) less likely.",
    "influence": (
        "What share of all that makes the answer goes through a node of the graph, along all paths; what has "
        "little is left out."
    ),
    "error": "What an MLP writes that its features do not explain.",
    "replacement score": (
        "Of the influence of what no feature explains, the share that tokens have and not errors; "
        "completeness: of what features and the answer read, the share that is no error."
    ),
    "interval": (
        "Where the value lies, as far as so few measurements can tell (95 %); none is shown of one alone."
    ),
    "probe": (
        "A linear classifier of activations. It shows that something can be read there, not that the model "
        "uses it."
    ),
    "run": "A folder that a command left: what was asked, the numbers, the figure, and where they come from.",
}

EXPLANATIONS: dict[str, Explanation] = {
    "Explore": Explanation(
        "Explore a prompt",
        "What would the model say after each layer, and what makes it say so?",
        "Each cell is the token that the model would say if it stopped after that layer (row; the first "
        "is at the bottom), behind that token of the prompt (column). The top row is what it does say. A "
        "strong colour: it is sure. Click a cell and the rest follows: the likeliest tokens there, how "
        "their probability grows over the layers, what each head and MLP adds to the target's logit, and "
        "where heads look. Be careful with early layers: they are read in the language of the last one.",
        (
            "token",
            "logit lens",
            "probability",
            "rank",
            "entropy",
            "residual stream",
            "layer",
            "direct logit attribution",
            "logit",
            "head",
            "MLP",
            "BOS",
            "attention",
            "tuned lens",
            "Jacobian lens",
            "patchscope",
        ),
    ),
    "Trace": Explanation(
        "Trace an answer",
        "Which activations carry the answer?",
        "Two prompts that differ in what decides the answer. Each cell is one run, in which that "
        "activation was exchanged between the two: 1 means that the answer is as in the other prompt, 0 "
        "that nothing changed. Follow the strong cells from bottom to top: the answer sits at the word "
        "that differs, and moves to the last token where a layer brings it there. Click a cell to see "
        "what the model says then.",
        (
            "clean and corrupted",
            "patching",
            "denoising",
            "noising",
            "recovery",
            "answer",
            "foil",
            "logit difference",
            "residual stream",
            "head",
            "MLP",
            "attention",
        ),
    ),
    "Patch": Explanation(
        "Patch by hand",
        "What does a cell of one prompt do in another?",
        "Three lenses: the source, the target, and the target with one cell of the source in it. Click a "
        "cell of the source, then one of the target (any layer, any position), or drag the one onto the "
        "other. Hatched is what the patch can reach: later layers at its position, and later layers at the "
        "positions behind it. Colour by change to see where the followed token gets likelier. Into a late "
        "layer the patch brings what the source says anyway: look at what changes behind it.",
        (
            "patching",
            "logit lens",
            "residual stream",
            "layer",
            "probability",
            "rank",
            "entropy",
            "token",
            "BOS",
            "tuned lens",
            "Jacobian lens",
            "patchscope",
        ),
    ),
    "Contrast": Explanation(
        "Contrast two prompts",
        "From which layer on does the model tell two prompts apart?",
        "Both prompts are read after each layer (rows). Coloured is who is ahead, the target or the "
        "competitor; framed is where the one that leads at the end takes over. To be ahead of one other "
        "token is not to be likely: the sentence says what the model says, and the hover each token's "
        "rank. Click a layer for its top tokens.",
        (
            "logit lens",
            "logit",
            "margin",
            "hand-off",
            "rank",
            "probability",
            "tuned lens",
            "Jacobian lens",
            "patchscope",
        ),
    ),
    "Circuit map": Explanation(
        "Circuit map",
        "Which heads are these, and what is lost without them?",
        "Three maps of all heads by what they look at, on random tokens said twice: a head that looks "
        "where induction would look is a candidate, no more. Click cells to pick heads; below stands "
        "what the model loses without them, beside as many random heads. An effect that random heads "
        "have too says nothing about yours; a small one does not mean that the heads do nothing, as "
        "others may take over.",
        (
            "head",
            "induction",
            "ablation",
            "loss",
            "answer",
            "foil",
            "logit difference",
            "circuit",
            "attention",
            "duplicate token",
            "previous token",
            "interval",
        ),
    ),
    "Features": Explanation(
        "Features of a prompt",
        "What does a sparse autoencoder see in the prompt?",
        "Rows are the strongest features, columns the tokens; a strong colour: the feature is active "
        "there. Click one to see on which texts it is active, which tokens it makes likelier, and which "
        "heads and MLPs write it. What a feature is about is a guess from examples: look at the weaker "
        "ones too.",
        (
            "feature",
            "sparse autoencoder",
            "pre-activation",
            "residual stream",
            "logit",
            "head",
            "MLP",
        ),
    ),
    "Graph": Explanation(
        "Attribution graph",
        "Which features at which tokens made the answer?",
        "Each MLP is replaced by a dictionary of features (transcoders) and what these leave over. Columns "
        "are tokens, rows layers; a line is what one feature adds to another, or to the answer at the top. "
        "Click a node to see what it is about and what the graph says it does, beside what happens when it "
        "is knocked out of the model itself. Where both part, believe the model. Diamonds are what no "
        "feature explains; why heads attend where they do, the graph does not say.",
        (
            "feature",
            "transcoder",
            "answer",
            "token",
            "layer",
            "MLP",
            "logit",
            "ablation",
            "influence",
            "error",
            "replacement score",
        ),
    ),
    "Generate": Explanation(
        "Generate",
        "What does the model go on to say, and what changes when a part of it is changed?",
        "The model says its likeliest token, again and again. Choose a part and multiply what it writes: 0 "
        "takes it out, 1 leaves it, more makes it stronger, below 0 turns it round. The text with the change "
        "stands below the one without. Once a token differs, what follows is said in another text: the first "
        "difference is the part's doing, the rest is what comes of it.",
        (
            "token",
            "head",
            "attention",
            "MLP",
            "neuron",
            "feature",
            "direction",
            "probability",
            "rank",
            "ablation",
        ),
    ),
    "Knowledge": Explanation(
        "Known, or made up",
        "When the model says something that it was never told, what differs inside?",
        "Prompts of which it is known what the model was told, by group. The lines follow the answer that it "
        "gives in the end through the layers: how likely it is there, how far ahead, how uncertain the model "
        "is. Then: does a probe tell both apart on names that it never saw, better than the output itself "
        "does? Two sets of names always differ in something: read what the surface alone tells, and how long "
        "and how rare the names are, before you call a difference knowledge.",
        (
            "probability",
            "logit",
            "entropy",
            "logit lens",
            "layer",
            "probe",
            "token",
            "AUROC",
            "surface",
            "nats",
            "interval",
            "tuned lens",
            "Jacobian lens",
            "patchscope",
        ),
    ),
    "Runs": Explanation(
        "Runs",
        "What has been run here?",
        "Every folder that interp run has left, the newest first: its report, figure, configuration and "
        "files. Choose a second one to see in which settings and numbers the two differ.",
        ("run",),
    ),
}
