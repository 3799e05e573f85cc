# %% [markdown]
# # 00 · Pin the metric first
#
# Before we look inside a model, we must be able to say in **one number** how well it does the thing that we
# want to explain. All that follows in this course asks how that number changes. A bad number makes every later
# figure wrong, and no figure will say so.
#
# You need Python, and nothing else. Words that are new stand in **bold** where they are explained.
#
# **What you will learn**: tokens and logits; why a *difference* of logits is a better measure than a
# probability; how to find out whether a model does a task at all; four ways to get this wrong.

# %%
MODEL = "demo-gpt2"  # or "demo-qwen3", "gemma-3-270m", "gpt2": a model that is on this machine

# %%
import warnings

import interp
from interp.course import Expected, check

model = interp.load_model(MODEL)
model.identity.name, model.arch.n_layers, model.arch.n_heads, model.arch.d_vocab

# %% [markdown]
# The numbers are: the model's name, how many **layers** it has, how many **attention heads** each layer has, and
# how many **tokens** it knows. `demo-gpt2` is a small model that comes with this package. It was trained on
# generated text, so it is on record what it was taught. It has the same parts as GPT-2, only fewer of them.
#
# ## What goes in: tokens
#
# A **language model** reads **tokens** (words, or pieces of words, each with a number) and says for each
# token of its vocabulary how likely it is to come next. A token mostly holds the space before its word: `" Mary"`
# and `"Mary"` are two tokens.

# %%
PROMPT = "When John and Mary went to the store, John gave a drink to"
ANSWER, FOIL = " Mary", " John"

tokens = model.to_tokens(PROMPT)
model.labels(tokens.row(0))

# %% [markdown]
# Most models want a special token in front, the **BOS** (beginning of sequence). The library puts it there where
# the model was trained with one. Leave it out, and the same model gives other numbers; we will see that below.
#
# ## What comes out: logits
#
# For each position the model gives a number for each token of the vocabulary: its **logit**. Larger means more
# likely. The **softmax** turns the logits into probabilities: it raises $e$ to each logit, and divides by the
# sum.

# %%
logits = model.forward(PROMPT)  # [batch, position, token of the vocabulary]
last = logits[0, -1]  # what the model says after the last token
probabilities = last.softmax(-1)
top = probabilities.topk(5)
[(label, round(p, 3)) for label, p in zip(model.labels(top.indices), top.values.tolist(), strict=True)]

# %% [markdown]
# ## The metric: a difference of two logits
#
# The sentence names two people. Somebody who reads it expects `" Mary"`: John is the one who gives. This task is
# called **indirect object identification** (Wang et al. 2022). The right name is the **indirect object** (IO), the
# other one is the **subject** (S).
#
# We measure  $\text{logit}(\text{IO}) - \text{logit}(\text{S})$: the **logit difference**. Why not the probability of
# `" Mary"`?
#
# - A probability moves with everything. When the model becomes more willing to say `" them"`, the probability of
#   `" Mary"` falls, and nothing has changed about John and Mary. The difference does not move.
# - A probability near 1 hardly moves at all, even when a lot is broken behind it.
# - The difference means something: it is the logarithm of how many times as likely `" Mary"` is as `" John"`.
#
# **Predict first.** How large is the difference? (0 means: as likely; 1: 2.7 times as likely; 3: 20 times; 10:
# 22,000 times.) Write a number in place of `None`, or leave it: nothing depends on it.

# %%
prediction = None

# %%
mary, john = model.to_single_token(ANSWER), model.to_single_token(FOIL)
difference = (last[mary] - last[john]).item()

expected = Expected(model)
expected.row("logit(Mary) - logit(John)", prediction, difference, published="+3.17")

# %% [markdown]
# The last column is what others have measured of GPT-2 small, where there is such a figure. A model of its own need
# not agree with it, and that is no fault of either.
#
# ## Does it know, or does it like one name?
#
# A model that always prefers `" Mary"` would pass so far. So exchange the roles: the same sentence, but Mary gives.
# And try it with other names. A number that is good must be **positive in all of them**.
#
# **Predict**: in how many of the prompts below is the right name ahead?

# %%
prediction = None

# %%
COUPLES = [("John", "Mary"), ("Alice", "Bob"), ("Paul", "Anna"), ("David", "Sarah"), ("Mark", "Laura")]


couples = [names for names in COUPLES if all(model.to_answer(f" {name}").token is not None for name in names)]
swaps = interp.make_dataset("role_swaps", model, names=couples)
swapped = interp.inspect_dataset(model, swaps)
for prompt, value in zip(swapped.pairs.prompts, swapped.clean_logit_diff, strict=True):
    print(f"{value:+6.2f}  {prompt.removeprefix(model.identity.bos)}")

# %%
share = f"{(swapped.clean_logit_diff > 0).sum()} of {len(swaps)}"
expected.row(
    "prompts with the right name ahead", prediction, share, published="4 of 4 (+3.17, +2.48, +3.79, +2.73)"
)

# %% [markdown]
# Names of which this model makes more than one token are left out (in `demo-gpt2`, Bob is one). One token is
# compared with one token, or the comparison says something about lengths.
#
# ## One prompt is an anecdote
#
# The paper has 15 templates, in two orders of the names each. `make_dataset` fills them in for the model at hand,
# and `inspect_dataset` puts each prompt to it. Each prompt has a **corrupted** twin with three other names, in which
# nobody is named twice: later we will need two runs that differ in one thing only.
#
# **Predict** the mean logit difference over 60 prompts.

# %%
prediction = None

# %%
pairs = interp.make_dataset("indirect_objects", model, n=60)
seen = interp.inspect_dataset(model, pairs)
expected.row("mean difference, 60 prompts", prediction, seen.clean_logit_diff.mean(), published="3.56")
expected.row("IO above S, % of prompts", None, 100 * seen.clean_accuracy, published="99.3")
expected.row("mean probability of IO", None, seen.clean_prob.mean(), published="0.49")

# %% [markdown]
# And the spread, since a mean hides it:

# %%
values = seen.clean_logit_diff
print(f"lowest {values.min():.2f}, median {sorted(values)[len(values) // 2]:.2f}, highest {values.max():.2f}")
print(f"on the corrupted twins: mean {seen.corrupted_logit_diff.mean():.2f}")

# %% [markdown]
# **What was seen.** In the models that come with the package the right name is ahead every time, and by more than in
# GPT-2 small: they were trained on such sentences. On the corrupted twins neither name is right, and the mean
# should lie far below. Look at it: if it did not, the pair would be of no use.
#
# **When this number misleads.** Names in one template are alike, so that 60 prompts are not 60 independent
# observations; the library draws prompts of one template together for its intervals. And a large difference says
# that the model *can* do the task, not *how*.
#
# ## Break it on purpose
#
# ### 1. Forget the space

# %%
try:
    without_space = model.to_single_token("Mary")
    print(f"logit of 'Mary' {last[without_space]:.2f}, of ' Mary' {last[mary]:.2f}")
except interp.InterpError as error:
    print(error)

# %% [markdown]
# `"Mary"` is another token, or several. The model would never say it here. A tool that takes the first token of it,
# without a word, gives a number that looks like any other. Nothing is stripped, added or cut behind your back in
# this library: what you write is what is measured, or it is refused.
#
# ### 2. Leave out the BOS

# %%
text_alone = tokens.row(0)[1:] if model.bos_id is not None else tokens.row(0)
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    bare = model.forward(text_alone)[0, -1]
print(f"as the model was trained: {difference:+.2f}; without BOS: {(bare[mary] - bare[john]).item():+.2f}")
print(*(one.message for one in told))

# %% [markdown]
# If two libraries give different numbers for the same prompt, look here first. A larger number is not a better one: in
# `demo-gpt2` the model is *surer* without BOS, in a situation that it was never trained for. (A model without a BOS
# shows the same number twice. Ids are taken as they are, and a warning says that the BOS is missing.)
#
# ### 3. Ask something that has no answer

# %%
NOBODY_TWICE = "When John and Mary went to the store, Paul gave a drink to"
odd = model.forward(NOBODY_TWICE)[0, -1]
top = odd.softmax(-1).topk(4)
print([(label, round(p, 3)) for label, p in zip(model.labels(top.indices), top.values.tolist(), strict=True)])
print(f"logit(Mary) - logit(John): {(odd[mary] - odd[john]).item():+.2f}")

# %% [markdown]
# Nobody is named twice, so that neither name is right. The metric still gives a number, and perhaps a large one. In
# `demo-gpt2` it is " John" with 0.97: so this model may not look for the name that was said once, but do something
# simpler that gives the same answers on the task. Lessons 03 to 07 look for it.
#
# ### 4. Let the probability fool you

# %%
shifted = last.clone()
shifted[model.to_single_token(" the")] = last.max() + 3  # a model that would rather say " the"
print(f"probability of {ANSWER!r}: {probabilities[mary]:.3f} -> {shifted.softmax(-1)[mary]:.3f}")
print(f"logit difference: {difference:.2f} -> {(shifted[mary] - shifted[john]).item():.2f}")

# %% [markdown]
# The knowledge of who is who is untouched, and the probability has collapsed.
#
# ## Exercises
#
# Put your answer in place of `None` and run the cell. The right answers stand nowhere in this notebook: the library
# computes them anew on your model and compares. A wrong answer gets a hint.
#
# **00.1** What is the probability of `" Mary"` after `PROMPT`, to three decimals?

# %%
answer = None
check(answer, "00.1", model)

# %% [markdown]
# **00.2** Exchange the two names at the beginning only: "When Mary and John went to the store, John gave a drink to".
# The right answer stays. What is the logit difference now, to one decimal?

# %%
answer = None
check(answer, "00.2", model)

# %% [markdown]
# **00.3** In `pairs`, take the prompt with the lowest logit difference. How many tokens does it have, with BOS?

# %%
answer = None
check(answer, "00.3", model)

# %% [markdown]
# **Next**: [01 · The logit lens](01_logit_lens.ipynb). At which layer is the answer there?
