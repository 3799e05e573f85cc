# %% [markdown]
# # 03 · Heads: attribution, patching, and why they disagree
#
# Each layer's attention consists of **heads**, which work side by side. A head looks at some earlier tokens, and adds to
# the residual stream something that depends on what it sees there. Heads are named layer.head: **4.1** is head 1 of
# layer 4, both counted from 0.
#
# **What you will learn**: two ways to ask "which heads matter?"; that they give different answers; and which question
# each of them answers.
#
# The task is that of lesson 00: "When John and Mary went to the store, John gave a drink to" → " Mary".

# %%
MODEL = "demo-gpt2"  # or "demo-qwen3", "gemma-3-270m", "gpt2"

# %%
import numpy as np

import interp
from interp.course import Expected, check

model = interp.load_model(MODEL)
PROMPT = "When John and Mary went to the store, John gave a drink to"
N = 20 if model.arch.n_layers <= 6 else 4  # pairs; a large model gets fewer
pairs = interp.make_dataset("indirect_objects", model, n=N)
expected = Expected(model)

# %% [markdown]
# ## Attribution: who writes the answer?
#
# The last residual stream is a **sum** of what every part of the model added. The logits are (but for the final norm,
# whose scale we hold fixed) a linear map of it. So a logit difference is a sum, too: one term for each head, each MLP and
# the embedding. This is **direct logit attribution** (Elhage et al. 2021).
#
# **Predict first**: which part writes most of $\text{logit}(\text{Mary}) - \text{logit}(\text{John})$: attention or MLPs?

# %%
prediction = None  # "attention" or "MLPs"

# %%
parts = interp.direct_logit_attribution(model, PROMPT, " Mary", " John")
by_part = dict(zip(parts.components, parts.by_component.mean.tolist(), strict=True))
attention = sum(value for name, value in by_part.items() if name.endswith("attn"))
mlps = sum(value for name, value in by_part.items() if name.endswith("mlp"))
print(
    f"attention {attention:+.2f}, MLPs {mlps:+.2f}, all parts {sum(by_part.values()):+.2f}, the logits {parts.logits[0]:+.2f}"
)
expected.row("who writes most of the difference", prediction, "attention" if attention > mlps else "MLPs")

# %%
parts.figure()

# %% [markdown]
# The parts sum to the model's own logit difference. That is checked each time: an attribution that does not add up is
# refused.
#
# Note what is *not* said: a part that writes the answer may only pass on what another has found. These are **direct**
# effects.
#
# ## Patching: who is needed to bring it back?
#
# The other way is that of lesson 02, with heads in the place of positions. `z` is a head's output. Take the
# **corrupted** run (three other names, nobody twice), put in the clean output of one head, and see how much of the
# difference comes back. This includes all that *others* make of what the head writes: a **total** effect.
#
# **Predict**: the strongest head by patching. Is it the strongest by attribution, too?

# %%
prediction = None  # True or False

# %%
both = interp.patching_vs_attribution(model, pairs)
patched, attributed = both.patching.value, both.attribution.value  # [layer, head], logits


def strongest(values, n=5):
    order = np.argsort(-np.abs(values), axis=None)[:n]
    return {both.heads[i]: round(float(values.ravel()[i]), 2) for i in order}


print("by patching:   ", strongest(patched))
print("by attribution:", strongest(attributed))
same = next(iter(strongest(patched))) == next(iter(strongest(attributed)))
expected.row("is the strongest head the same by both", prediction, same)

# %% [markdown]
# **Predict**: how well do the two agree over all heads? Pearson's correlation: 1 is perfect, 0 is none.

# %%
prediction = None

# %%
expected.row(
    "Pearson correlation over all heads",
    prediction,
    both.pearson,
    published="0.64 (without the norm's scale)",
)

# %%
both.figure()

# %% [markdown]
# ## Why they disagree
#
# | | attribution | patching |
# |---|---|---|
# | asks | what does this head write straight into the answer? | what changes if this head is as in the other run? |
# | sees | the last step | everything that follows from it |
# | misses | a head that acts through others | a head whose work others take over |
# | counts | also what is the same in both prompts | only what differs between the two prompts |
#
# A head with a large effect by patching and no attribution acts **through others**. A head with attribution and no
# effect is either **made up for** by others, or writes the same thing in both prompts.
#
# Find the head that they disagree on most:

# %%
gap = patched - attributed
i = int(np.abs(gap).argmax())
print(f"{both.heads[i]}: {patched.ravel()[i]:+.2f} by patching, {attributed.ravel()[i]:+.2f} by attribution")

# %% [markdown]
# In `demo-gpt2` two heads of layer 0 carry nearly everything by patching, and write nearly nothing of the answer: what they
# write is read by the MLPs above, and these write the answer. Attribution alone would have told the story of the MLPs and
# never found the heads that they listen to.
#
# How much they disagree is each model's own: over four pairs on Gemma 3 270M the correlation is 0.92, and the strongest head by
# both is the same, 11.3.
#
# ## An estimate that is cheap
#
# To patch every head takes a run for each. **Attribution patching** estimates all of them with one backward pass: the
# gradient of the metric, times how much each activation differs. It is a first-order estimate, and it can be held against
# the exact one.


# %%
def by_head(dataset, **options):
    """Patch every head of the pairs of a dataset."""
    return interp.activation_patching(
        model,
        clean=dataset.clean,
        corrupted=dataset.corrupted,
        answer=dataset.answers,
        foil=dataset.foils,
        site="z",
        by="head",
        clusters=dataset.clusters,
        **options,
    )


exact, quick = by_head(pairs), by_head(pairs, method="attribution")
x, y = exact.recovery.mean.ravel(), quick.recovery.mean.ravel()
worst = int(np.abs(x - y).argmax())
print(
    f"correlation {np.corrcoef(x, y)[0, 1]:.2f}; worst at {both.heads[worst]}: exact {x[worst]:+.2f}, estimate {y[worst]:+.2f}"
)

# %% [markdown]
# **When these numbers mislead.** All of them are means over a few prompts. `recovery.low` and `recovery.high` are the ends
# of a 95 % interval; a head whose interval holds 0 has not been told from a head that does nothing.

# %%
low, high = exact.recovery.low.ravel(), exact.recovery.high.ravel()
sure = [name for name, a, b in zip(both.heads, low, high, strict=True) if a > 0 or b < 0]
print(f"{len(sure)} of {len(both.heads)} heads have an interval without 0:", ", ".join(sure))
print(f"by chance one would expect about {0.05 * len(both.heads):.0f}")

# %% [markdown]
# ## Break it on purpose
#
# ### 1. One logit alone

# %%
alone = interp.direct_logit_attribution(model, PROMPT, " Mary", views=("head",))
print("logit of ' Mary' alone:  ", strongest(alone.by_head.mean))
print("difference to ' John':   ", strongest(parts.by_head.mean))

# %% [markdown]
# A single logit says little: what moves all logits alike moves no prediction. Name the thing that it is compared with.
#
# ### 2. Another corruption
#
# In p_ABC (above) nobody is named twice. Now exchange who gives, so that the answer becomes the foil:

# %%
swapped = interp.make_dataset("indirect_objects", model, n=N, corruption="swapped_subject")
again = by_head(swapped)
print("three other names:", strongest(exact.recovery.mean))
print("subject swapped:  ", strongest(again.recovery.mean))

# %% [markdown]
# "Which heads matter" has no answer without "compared with what". The corruption decides which information is taken away,
# and only heads that carry *that* show up.
#
# ### 3. Take a random other token as the foil

# %%
odd = interp.direct_logit_attribution(model, PROMPT, " Mary", " the", views=("head",))
print("Mary against John:", strongest(parts.by_head.mean))
print("Mary against the: ", strongest(odd.by_head.mean))

# %% [markdown]
# Against " the", heads that make *any* name likely get the credit. They need not know who is who.
#
# ## Exercises
#
# **03.1** By attribution (`parts`), how many logits of the difference does the MLP of the last layer write, to one decimal?

# %%
answer = None
check(answer, "03.1", model)

# %% [markdown]
# **03.2** Patch the heads for one pair alone: `clean` = `PROMPT`, `corrupted` = "When John and Mary went to the store, Mary gave a
# drink to", answer " Mary", foil " John". Which head brings back most?

# %%
answer = None  # such as "4.1"
check(answer, "03.2", model)

# %% [markdown]
# **03.3** The same question by *noising* (`direction="noising"`): without which head is most lost? (The lowest recovery.)

# %%
answer = None
check(answer, "03.3", model)

# %% [markdown]
# **Next**: [04 · Attention patterns](04_attention.ipynb). Where do the heads look, and who talks to whom?
