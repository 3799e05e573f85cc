# %% [markdown]
# # 10 · Causal tracing as in ROME: noise and interchange
#
# Where in a model is a fact kept? Meng et al. (2022) asked that of GPT-2 XL, by **causal tracing**: corrupt the *subject* of a fact with noise, so that
# the answer is lost; then restore single activations of the clean run, and see which of them bring it back. They found that MLPs in the middle layers, at
# the **last token of the subject**, bring back most. (They then edited weights there: ROME.)
#
# **What you will learn**: how noise differs from the interchange of lesson 02; why one draw of noise is worth nothing; windows of layers; and what a
# trace does *not* say about where a fact is stored.

# %%
MODEL = "demo-gpt2"  # or "demo-qwen3", "gemma-3-270m", "gpt2"

# %%
import numpy as np

import interp
from interp.course import Expected, check

model = interp.load_model(MODEL)
PROMPT, SUBJECT, ANSWER = "The Eiffel Tower is in the city of", "The Eiffel Tower", " Paris"
where = model.positions_of(PROMPT, SUBJECT)
expected = Expected(model)
tokens = model.labels(model.to_tokens(PROMPT).row(0))
print("subject:", [tokens[i] for i in where], "at", where)

# %% [markdown]
# ## Lose the answer
#
# Noise is added to the embeddings of the subject's tokens: three standard deviations of these embeddings' entries. The prompt stays the same, but the
# model cannot tell any more which tower is meant.
#
# The **total effect** is what this costs: p(answer) in the clean run, less p(answer) in the corrupted one.
#
# **Predict first**: the probability of " Paris" in the clean run, and with the noise.

# %%
prediction_clean = None
prediction_corrupted = None

# %%
noise = interp.causal_tracing(model, clean=PROMPT, subject=SUBJECT, answer=ANSWER, corruption="noise")
expected.row("p(Paris), clean", prediction_clean, noise.clean_value)
expected.row("p(Paris), the subject under noise", prediction_corrupted, noise.corrupted_value)
expected.row(
    "total effect",
    None,
    noise.clean_value - noise.corrupted_value,
    published="0.186 (GPT-2 XL, mean of 1,000 facts)",
)

# %% [markdown]
# ## Bring it back
#
# Now restore one activation at a time.
#
# **Predict**: after the first layer, which *token* brings back most? The first or the last of the subject, or another one?

# %%
prediction = None  # a token, such as " Tower"

# %%
row = min(1, model.arch.n_layers - 1)
column = int(noise.recovery[row].argmax())
expected.row(
    "token that brings back most, early",
    prediction,
    tokens[column],
    published="the last token of the subject",
)

# %%
noise.figure()

# %% [markdown]
# The map is read as in lesson 02. Two places are hot: the subject early, and the last token late.
#
# ## One draw of noise is an anecdote

# %%
for seed in range(4):
    draw = {"corruption": "noise", "samples": 1, "most_samples": 1, "seed": seed}
    try:
        one = interp.causal_tracing(model, clean=PROMPT, subject=SUBJECT, answer=ANSWER, **draw)
    except interp.InterpError as error:
        print(f"draw {seed}: refused. {error}")
        continue
    print(f"draw {seed}: p(Paris) under noise {one.corrupted_value:.3f}; strongest cell {one.peak}")
print(
    f"mean of {noise.samples} draws: {noise.corrupted_value:.3f}, standard error {noise.corrupted_error:.3f}"
)

# %% [markdown]
# The library draws 10, and goes on (up to 40) until the standard error is small against the total effect. It keeps the error with the result.
#
# ## MLPs or attention?
#
# A single layer's MLP adds little, so ROME restored **windows** of several layers at once: 10 of GPT-2 XL's 48. Here as large a share:
#
# **Predict**: which brings back more at the subject's last token: a window of MLPs or of attention?

# %%
prediction = None  # "MLPs" or "attention"

# %%
window = max(1, round(10 / 48 * model.arch.n_layers))
end_of_subject = where[-1]
best = {}
for name, site in (("MLPs", "mlp_out"), ("attention", "attn_out")):
    part = interp.causal_tracing(
        model, clean=PROMPT, subject=SUBJECT, answer=ANSWER, corruption="noise", site=site, window=window
    )
    at_subject = part.recovery[:, end_of_subject]
    best[name] = float(at_subject.max())
    layer, position = part.peak
    print(
        f"{name:9} (window {window}): at the subject's end {best[name]:+.2f} (layer {int(at_subject.argmax())}); anywhere {part.recovery.max():+.2f} at layer {layer}, {tokens[position]!r}"
    )
expected.row(
    "at the subject's last token",
    prediction,
    ", ".join(f"{name} {value:+.2f}" for name, value in best.items()),
    published="MLPs 6.6 %, attention 1.6 % of p (GPT-2 XL)",
)

# %% [markdown]
# **What was seen.** In `demo-gpt2` neither brings anything back at the subject's end. Its MLP of the last layer does, at the *last* word (+0.54): the
# fact is looked up late, when the subject has been carried there. What was found in one model need not hold in the next.
#
# ## Interchange: the other corruption
#
# Instead of noise, put another subject there: a prompt of as many tokens whose answer is another one.

# %%
TOWERS = [
    ("The Brandenburg Gate is in the city of", " Berlin"),
    ("The Charles Bridge is in the city of", " Prague"),
]
same_length = [
    (prompt, foil)
    for prompt, foil in TOWERS
    if len(model.to_tokens(prompt).row(0)) == len(tokens) and model.to_answer(foil).token is not None
]
OTHER = same_length[0] if same_length else None
print("the other prompt:", OTHER or "none of as many tokens in this model")

# %%
COUNTRIES = {
    "clean": "The capital of France is",
    "corrupted": "The capital of Japan is",
    "answer": " Paris",
    "foil": " Tokyo",
}
pair = (
    COUNTRIES
    if OTHER is None
    else {"clean": PROMPT, "corrupted": OTHER[0], "answer": ANSWER, "foil": OTHER[1]}
)
exchanged = interp.causal_tracing(model, **pair)
noised = noise
if OTHER is None:  # the same prompt, once more under noise
    noised = interp.causal_tracing(
        model, clean=pair["clean"], subject=" France", answer=ANSWER, corruption="noise"
    )
exchanged.figure()

# %% [markdown]
# **Noise against interchange.**
#
# - Noise makes activations that no text ever makes. The model may answer in a way that is an artefact of that.
# - Interchange stays among real prompts, but shows only what *differs* between the two: what both subjects share (both are sights in cities) is in
#   both runs, and cannot be seen.
#
# How alike are the two maps on the same prompt?

# %%
agreement = np.corrcoef(noised.recovery.ravel(), exchanged.recovery.ravel())[0, 1]
expected.row("correlation of the maps, noise and interchange", None, agreement)

# %% [markdown]
# **What was seen, and what not.** A trace says: *information that decides the answer passes here*. It does not say that the fact is *stored* here, nor that
# an edit here would change it: Hase et al. (2023, arXiv 2301.04213) found that where tracing points hardly predicts where editing works. And a mean over many facts (ROME's 1,000)
# hides that single facts differ.
#
# ## Break it on purpose
#
# ### 1. Too little noise

# %%
for sigma in (0.1, 1.0, 3.0, 10.0):
    try:
        some = interp.causal_tracing(
            model, clean=PROMPT, subject=SUBJECT, answer=ANSWER, corruption="noise", sigma=sigma
        )
        print(
            f"{sigma:4} standard deviations: p(Paris) {some.corrupted_value:.3f}, strongest {some.recovery.max():.2f}"
        )
    except interp.InterpError as error:
        print(f"{sigma:4} standard deviations: refused. {error}")

# %% [markdown]
# Noise that corrupts nothing leaves nothing to restore, and is refused. The map depends on how much was destroyed.
#
# ### 2. Corrupt something else

# %%
try:
    elsewhere = interp.causal_tracing(
        model, clean=PROMPT, subject="is in the", answer=ANSWER, corruption="noise"
    )
    layer, position = elsewhere.peak
    print(
        f"noise on 'is in the': p(Paris) {elsewhere.corrupted_value:.3f}; strongest at layer {layer}, {tokens[position]!r}"
    )
except interp.InterpError as error:
    print(error)

# %% [markdown]
# A trace finds what *was corrupted*. It would be a mistake to read "facts live at these words" from it.
#
# ### 3. A fact that the model does not have

# %%
try:
    strange = interp.causal_tracing(
        model,
        clean="The Eiffel Tower is in the city of",
        subject=SUBJECT,
        answer=" Berlin",
        corruption="noise",
    )
    print("it gives the answer:", strange.gives_answer, "|", strange.meaning)
except interp.InterpError as error:
    print(error)

# %% [markdown]
# ## Exercises
#
# **10.1** By `noise` (as above), what is the recovery at the *last token of the prompt* at the last layer, to two decimals?

# %%
answer = None
check(answer, "10.1", model)

# %% [markdown]
# **10.2** By how many standard deviations must the noise be, at least, to bring p(Paris) below one half: 1, 2, 3, 4 or 5? (`corrupted_value`, ten draws
# and the default seed. If none of them does, answer 6.)

# %%
answer = None
check(answer, "10.2", model)

# %% [markdown]
# **Next**: [11 · Attribution graphs](11_attribution_graphs.ipynb). Which features made an answer?
