# %% [markdown]
# # 08 · Sparse autoencoders: train one, read it, steer with it
#
# One neuron, or one entry of the residual stream, mostly means many things at once. A **sparse autoencoder** (SAE) looks for better
# units. It writes an activation $x$ as a sum of a *few* directions out of *many*:
#
# $$x \approx b + \sum_i f_i\, d_i \qquad \text{with most } f_i = 0$$
#
# The $d_i$ are the **features**' directions, the $f_i$ how strongly each is active at this token. One hopes that each feature means one
# thing.
#
# **What you will learn**: to train an SAE in a minute; the numbers that say how good it is; what its features say, measured against
# labels that are known; to ablate and to steer; and how all this can fool you.

# %%
MODEL = "demo-gpt2"  # or "demo-qwen3", "gemma-3-270m", "gpt2"

# %%
import interp
from interp.course import Expected, check
from interp.saes.recipe import Recipe
from interp.text.sequences import load_text

model = interp.load_model(MODEL)
packaged = MODEL in ("demo-gpt2", "demo-qwen3")  # a trained SAE comes with these two
layer = round(2 * (model.arch.n_layers - 1) / 3) + packaged  # two thirds of the way
expected = Expected(model)

# %% [markdown]
# ## Train one
#
# All it needs is text. The demo models have a corpus of their own; for another model give a text file of yours in the place of `"demo"`. To
# keep this short we train little: 200 steps on 200 sequences. A good one takes thousands of steps.
#
# **TopK** keeps the $k$ largest features of each token, and sets all others to 0, so we choose the number of active features ourselves.

# %%
TEXT = "demo" if packaged else "../docs/methodology.md"
N, LENGTH = (200, 128) if packaged else (24, 64)
text, held_out = load_text(model, TEXT, training=N, held_out=16 if packaged else 4, length=LENGTH)
recipe = Recipe(n_features=4 * model.arch.d_model, k=16, steps=200 if packaged else 60, learning_rate=4e-3)
mine, losses = interp.train_sae(model, "resid_post", layer, text, recipe, batch_size=512)
mine

# %% [markdown]
# **Predict first.** Two numbers say how good it is. **Explained variance**: how much of the activation it gives back (1: all). **CE
# recovered**: replace the activation by what the SAE makes of it, and see how much worse the model predicts the text: 1 means not at all
# worse, 0 as bad as with zeros in its place.

# %%
prediction_of_variance = None
prediction_of_recovered = None

# %%
quality = interp.measure_sae(model, mine, held_out)
expected.row("explained variance of ours", prediction_of_variance, quality.explained_variance)
expected.row("CE recovered, against zeros", prediction_of_recovered, quality.recovered_from_zero)
expected.row("CE recovered, against the mean", None, quality.recovered_from_mean)
expected.row("features that are never active", None, quality.dead)

# %% [markdown]
# Note the two versions of CE recovered. Zeros are a catastrophe for the model, so nearly anything "recovers" a lot against them. The mean is
# the harder test. Papers report either, under one name.
#
# ## One that was trained for longer
#
# The demo models come with SAEs of 1,536 features. (For other models we go on with ours, or give `interp.load_sae` a place on the hub.)

# %%
sae = interp.load_sae(MODEL, model) if packaged else mine
longer = interp.measure_sae(model, sae, held_out)
print(
    f"explained variance {longer.explained_variance:.3f}, CE recovered against the mean {longer.recovered_from_mean:.3f}"
)
print(f"active features of a token: {longer.l0:.1f} of {sae.n_features}; never active: {longer.dead:.0%}")

# %% [markdown]
# ## Read it
#
# Which features are active on a prompt?

# %%
PROMPT = "When John and Mary went to the store, John gave a drink to"
features = interp.sae_features(model, sae, PROMPT)
features.figure()

# %% [markdown]
# Numbers without meaning, so far. What is feature so-and-so about? The usual way is to look at the tokens at which it is most active, and to
# find a word for what they have in common. That is a guess, and easy to fool oneself with. On the demo corpus we can do better: of each
# token it is **known** what it is (a name, an answer, a random token, ...). So a feature's claim to mean "name" can be scored:
#
# - **precision**: when it is active, how often is it a name?
# - **recall**: of all names, at how many is it active?
# - **F1**: both in one; 1 is perfect.
#
# **Predict**: what is the best F1 of any feature for "indirect_object" (the name at the end of the sentence)?

# %%
prediction = None

# %%
reading = interp.reading_text(model, TEXT, sequences=96 if packaged else 12, length=LENGTH)
record = interp.record_features(model, sae, reading)
labels = interp.label_features(model, record) if packaged else None
if labels is not None:
    best = dict(zip(labels.labels, labels.best_scores[:, 0, 2].tolist(), strict=True))
    for label, score in sorted(best.items(), key=lambda item: -item[1])[:12]:
        print(f"{label:24} F1 {score:.2f}  feature {labels.features[labels.labels.index(label), 0]}")
    expected.row("best F1 for an indirect object", prediction, best["indirect_object"])
    expected.row("best F1 for a name", None, best["name"])
expected

# %% [markdown]
# In the demo models there is a feature for the name at the *end* of such a sentence, and a worse one for names as such. The SAE divides the world in its own way,
# and not in ours.
#
# Here is one feature in full: the best for the token *before* the indirect object, or, without labels, the strongest of the prompt.

# %%
label = "before indirect_object"
feature = (
    int(labels.features[labels.labels.index(label), 0]) if labels is not None else features.strongest(1)[0]
)
profiles = interp.feature_profiles(model, record, [feature])
profiles

# %% [markdown]
# ## Does it matter?
#
# A feature that *says* something need not be *used*. Take it out and see. We ablate the feature at the last token, and look at the metric of
# lesson 00.
#
# **Predict**: by how many logits does $\text{logit}(\text{Mary}) - \text{logit}(\text{John})$ change?

# %%
prediction = None

# %%
mary, john = model.to_single_token(" Mary"), model.to_single_token(" John")
readout = interp.Readout.logit_diff(mary, john)


def metric(*edits) -> float:
    return readout(model.forward(PROMPT, edits)).item()


before = metric()
without = metric(interp.feature_edit(sae, "ablate", [feature], positions=-1))
expected.row(f"change without feature {feature} at the end", prediction, without - before)

# %%
active = [int(f) for f in features.features[-1] if f >= 0]
effects = {f: metric(interp.feature_edit(sae, "ablate", [f], positions=-1)) - before for f in active}
for f, effect in sorted(effects.items(), key=lambda item: -abs(item[1]))[:6]:
    print(f"without feature {f:4}: {effect:+.2f} of {before:.2f} logits")

# %% [markdown]
# **What was seen.** In `demo-gpt2`, "before indirect_object" is what feature 896 *says*, with an F1 of 0.92. Without it the answer loses 0.04 of
# 11.2 logits. Others, whose meaning is less plain, cost one or two. A meaning is not an effect.
#
# ## Steer
#
# The other way: put a feature *in* and see what the model says. We take the one with the largest effect above, at several strengths.

# %%
strongest = max(effects, key=lambda f: abs(effects[f]))
usual = float(features.values[-1][features.features[-1] == strongest][0])
NEUTRAL = "Then, Paul and Anna had a long argument, and afterwards"
steered = interp.steering(
    model, NEUTRAL, [0, usual, 4 * usual], sae=sae, feature=strongest, op="set", n_tokens=8
)
steered

# %% [markdown]
# **When these numbers mislead.**
#
# - What the SAE does not reconstruct is in *no* feature: here about `1 - explained variance` of the activation. Effects may sit there.
# - A strength far above what text ever brings about is an activation that the model has never seen. What it says then is no evidence.
# - Features overlap. A feature that is ablated leaves its neighbours, which may say nearly the same.
#
# ## Break it on purpose
#
# ### 1. An SAE of random directions
#
# Is a good-looking feature a finding, or would anything look good? Shuffle the decoder's directions among the features:

# %%
import dataclasses

import torch

generator = torch.Generator().manual_seed(0)
shuffled = dataclasses.replace(sae, W_dec=sae.W_dec[torch.randperm(sae.n_features, generator=generator)])
broken = interp.measure_sae(model, shuffled, held_out)
print(
    f"explained variance: {longer.explained_variance:.2f} as it is, {broken.explained_variance:.2f} shuffled"
)
print(
    f"CE recovered against zeros: {longer.recovered_from_zero:.2f} as it is, {broken.recovered_from_zero:.2f} shuffled"
)

# %% [markdown]
# ### 2. Set too much

# %%
for times in (1, 10, 100):
    said = model.forward(
        NEUTRAL, [interp.feature_edit(sae, "set", [strongest], value=times * usual, positions=-1)]
    )[0, -1]
    top = said.softmax(-1).topk(3)
    print(
        f"{times:4} times as usual:",
        [(t, round(p, 2)) for t, p in zip(model.labels(top.indices), top.values.tolist(), strict=True)],
    )

# %% [markdown]
# At 10 and 100 times as usual the model still says *something*. It is the answer to no question that text could ask.
#
# ### 3. Take the SAE of another model

# %%
other = interp.load_model("demo-qwen3" if MODEL != "demo-qwen3" else "demo-gpt2")
try:
    interp.sae_features(other, sae, PROMPT)
except interp.InterpError as error:
    print(error)

# %% [markdown]
# Between the two demo models it would run without an error elsewhere, as the widths fit, and give features of nothing.
#
# ## Exercises
#
# These are about the SAE that comes with a demo model.
#
# **08.1** How many features are active at the last token of "The capital of France is"?

# %%
answer = None
check(answer, "08.1", model)

# %% [markdown]
# **08.2** Which feature is the strongest there?

# %%
answer = None
check(answer, "08.2", model)

# %% [markdown]
# **08.3** By how many logits does $\text{logit}(\text{Paris}) - \text{logit}(\text{Tokyo})$ change when that feature is ablated at the last token, to one decimal?

# %%
answer = None
check(answer, "08.3", model)

# %% [markdown]
# **Next**: [09 · Known, unknown, made up](09_known_or_made_up.ipynb). Does a model know what it does not know?
