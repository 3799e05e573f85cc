# %% [markdown]
# # 09 · Known, unknown, made up
#
# Ask a language model something that it was never told. It answers all the same. For us who want to trust such systems, the question is:
# is there a difference *inside* between what it has and what it makes up, and could that difference be used?
#
# Mostly this cannot be studied cleanly, as nobody knows what a model was told. Here we can. The demo models were trained on generated text
# about invented people, and it is on record:
#
# | status | what training said | what a good answer is |
# |---|---|---|
# | **known** | "The home city of Mara Kilvik is Budapest", in many wordings | the city |
# | **unknown** | that the city is " unknown" | " unknown" |
# | **withheld** | everything but the city: work, letters, friends | nothing can be known; a city is **made up** |
#
# **What you will learn**: to see what a model makes up; **probes**, and the controls that a probe needs; whether the inside knows better
# than the output; and whether one can push a model to say that it does not know.

# %%
MODEL = "demo-gpt2"  # or "demo-qwen3"; "gemma-3-270m" and "gpt2" are asked about famous and invented people instead

# %%
import numpy as np

import interp
from interp import zoo
from interp.course import Expected, check

model = interp.load_model(MODEL)
packaged = MODEL in zoo.NAMES
expected = Expected(model)

# %% [markdown]
# ## What does it say?
#
# 30 people of each status. (A model that is not ours is asked for the country of famous people, and of people who do not exist, made of the same
# first names and surnames.)

# %%
N = 30 if packaged else 12
data = interp.make_known("people" if packaged else "entities", model, n=N, per_entity=1)
print("statuses:", data.statuses)
for status in data.statuses:
    print(f"{status:9}", data.prompts[data.of(status)[0]].text)

# %% [markdown]
# **Predict first.** How often does the model *invent* a city for a withheld person, rather than say " unknown"?

# %%
prediction = None  # a share, between 0 and 1

# %%
found = interp.knowledge(model, data, strengths=[0.1, 0.2, 0.5], n_random=2)
said = found.said
for i, status in enumerate(found.statuses):
    print(
        f"{status:9} says most often: {', '.join(f'{t!r} ({n})' for t, n in zip(said.top[i][:4], said.top_counts[i][:4], strict=True))}"
    )
made_up = 1 - said.abstains.value[-1] if said.abstains is not None else 1.0
expected.row(f"share of {found.statuses[-1]} people for whom something is made up", prediction, made_up)

# %% [markdown]
# ## Does the output give it away?
#
# A made-up answer is often less certain. **Entropy** measures how undecided the output is. **AUROC** says how well a number tells two groups apart:
# pick one of each at random; how often does the number order them rightly? 0.5 is chance, 1 is perfect, and 0 is perfect the wrong way round.
#
# **Predict**: the AUROC of the output's entropy, for telling what is made up from what is known.

# %%
prediction = None

# %%
# each comparison: two statuses, and how they are told apart
for one in found.telling:
    print(
        f"{one.no} against {one.yes} ({one.how}): entropy {one.by_entropy.value:.2f}, best probe {one.auroc.value.max():.2f}"
    )
last = next(one for one in found.telling if found.statuses[-1] in (one.no, one.yes))
expected.row(f"AUROC of entropy, {last.no} against {last.yes}", prediction, last.by_entropy.value)

# %% [markdown]
# ## Does the inside know better?
#
# A **probe** is a linear classifier on activations: it is shown the residual stream after some layer, for people of both kinds, and learns to tell
# them apart. It is then tested on *other* people. If it does well, the difference *can be read off* there.
#
# **Predict**: on people whose status it was not fitted to, does the best probe do better than the entropy of the output?

# %%
prediction = None  # True or False

# %%
expected.row(
    "does the best probe beat the output",
    prediction,
    bool(last.auroc.value.max() > max(last.by_entropy.value, last.by_top_probability.value)),
)
if last.by_abstaining is not None:
    print(f"AUROC of the probability of the answer that makes nothing up: {last.by_abstaining.value:.2f}")

# %%
found.figure()

# %% [markdown]
# **What was seen.** A probe tells *known* from *unknown* people nearly perfectly: the model was taught to treat them differently. The real test are
# the *withheld* people, whose status no probe has seen. There, in `demo-gpt2`, the probe does no better than the output by itself; in `demo-qwen3` it beats
# the entropy (0.97 against 0.91), and not the probability of " unknown" (0.99).
#
# A high AUROC is easily had, and not easily worth something. What could be behind it?
#
# - The **names** may differ: longer, rarer, in other positions. (`found.surface` is the AUROC of a regression on just these: it should be near 0.5.
#   In `demo-gpt2`, on so few people, it is 0.65 for two of the three comparisons: some of what a probe finds may be that.)
# - The **company** that the names kept in training may differ. To have been told *is* to have stood in such sentences.
# - With many layers tried and the best one reported, the best is too good.

# %%
print("AUROC by surface alone:", found.surface.value.round(2).tolist())

# %% [markdown]
# ## Pushing
#
# To read is not to use. Take the *direction* from known to unknown people (the difference of the means), and add it to the stream of **withheld**
# people. If the model decides along that direction, it should say " unknown" more often. And **random** directions of the same length should do
# nothing, and known answers should survive.
#
# **Predict**: pushed with 0.2 of the usual norm, for which share is something still made up?

# %%
prediction = None

# %%
steered = found.steered
if steered is not None:
    print(f"before: made up {steered.made_up_before:.2f}")
    for way in steered.ways:
        for strength, lost, still in zip(steered.strengths, way.lost, way.made_up, strict=True):
            print(f"{way.way:10} strength {strength:.1f}: made up {still:.2f}, known answers lost {lost:.2f}")
    at = steered.strengths.index(0.2)
    expected.row("still made up, pushed by 0.2 of the norm", prediction, steered.ways[0].made_up[at])
expected

# %% [markdown]
# **When these numbers mislead.** The strength at which this works best was found by looking. A push that stops inventions by breaking *everything* is no
# success: that is why known answers and random directions stand beside it.
#
# ## Break it on purpose
#
# ### 1. A probe for nothing
#
# Fit the same probe to *shuffled* labels. It must fail. Where it does not, what you measure is how well a probe can memorise.

# %%
labelled = (
    interp.make_labelled("people", model, n=2 * N)
    if packaged
    else data.labelled(data.statuses[0], data.statuses[-1])
)
probe = interp.probing(model, labelled, n_shuffled=3, selectivity=False, untrained=False)
print("accuracy by layer:   ", probe.accuracy.value[0].round(2).tolist())
print("with shuffled labels:", probe.shuffled[0].mean(-1).round(2).tolist())

# %% [markdown]
# ### 2. Test on the people that it was fitted to
#
# With more dimensions than people, a linear probe can separate *any* two groups perfectly:

# %%
rng = np.random.default_rng(0)
x, y = rng.normal(size=(40, model.arch.d_model)), np.arange(40) % 2
weights, *_ = np.linalg.lstsq(x, 2 * y - 1, rcond=None)
print(f"accuracy on noise, on the points that it was fitted to: {((x @ weights > 0) == y).mean():.2f}")

# %% [markdown]
# Pure noise, and no error. So tests are on *other people* always, never only on other prompts of the same ones.
#
# ### 3. Let entropy speak for "unknown"

# %%
by_status = dict(zip(found.statuses, said.entropy.value.round(4).tolist(), strict=True))
print("mean entropy of the output, nats:", by_status)

# %% [markdown]
# In the demo models entropy is *lower* for unknown people than for known ones: they were taught to say " unknown" with certainty. Low entropy is not
# knowledge. It is certainty about what to say.
#
# ## Exercises
#
# **09.1** For how many of the `N` people of the first status does the model give its answer with a probability of 0.9 or more? (Run
# `model.forward` on the prompts of `data.of(data.statuses[0])`; the likeliest token, whatever it is.)

# %%
answer = None
check(answer, "09.1", model)

# %% [markdown]
# **09.2** What is the mean entropy of the output for the *last* status, to two decimals?

# %%
answer = None
check(answer, "09.2", model)

# %% [markdown]
# **Next**: [10 · Causal tracing as in ROME](10_causal_tracing.ipynb). Where are facts kept?
