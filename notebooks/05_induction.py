# %% [markdown]
# # 05 · Induction heads: to say again what was said before
#
# "... Mrs Dursley ... Mrs" → " Dursley". A model that has seen a pair of tokens once can complete it the second time, even where
# the words are unknown. The best known mechanism for that are **induction heads** (Olsson et al. 2022): at the second " Mrs" they
# look at the token *after* the first " Mrs", and copy it.
#
# It takes two heads in two layers:
#
# 1. A **previous-token head** writes at each token which token stood before it. So " Dursley" carries "I come after Mrs".
# 2. An **induction head** in a later layer, at the second " Mrs", looks for a token that carries "I come after Mrs", and copies that
#    token.
#
# **What you will learn**: how to find such heads by their scores; what the loss at the repeat says; and that a score is not an
# effect.

# %%
MODEL = "demo-gpt2"  # or "demo-qwen3", "gemma-3-270m", "gpt2"

# %%
import numpy as np

import interp
from interp.course import Expected, check
from interp.methods.common.names import head_name

model = interp.load_model(MODEL)
expected = Expected(model)

# %% [markdown]
# ## Random tokens, said twice
#
# To be sure that nothing else helps, the text is nonsense: random tokens, and then the same again. All that a model can know of
# the second copy it must take from the first.
#
# The **loss** of a token is $-\log p$ of it, in **nats**: 0 is certainty, and a model that knows nothing has about
# $\log(\text{vocabulary})$.
#
# **Predict first**: the loss per token in the first copy, and in the second.

# %%
print(f"a blind guess costs {np.log(model.arch.d_vocab):.1f} nats a token")
prediction_of_first = None
prediction_of_second = None

# %%
scores = interp.head_scores(model)
expected.row(
    "loss in the first copy, nats a token", prediction_of_first, scores.first_copy_loss, published="about 14"
)
expected.row("loss in the second copy", prediction_of_second, scores.second_copy_loss, published="near 0")

# %% [markdown]
# The first copy may cost *more* than a blind guess: a model that was trained on text is sure that random tokens do not follow each
# other.
#
# ## The scores of all heads
#
# Each score is the attention that a head pays, in the second copy, to one place, on average:
#
# - **previous_token**: the token before.
# - **duplicate_token**: the same token in the first copy.
# - **induction**: the token after that one, which is the one to be said next.
#
# **Predict**: the highest induction score of any head.

# %%
prediction = None  # between 0 and 1

# %%
induction = scores.score("induction")
top = np.unravel_index(induction.argmax(), induction.shape)
expected.row(
    "highest induction score", prediction, induction.max(), published="heads 5.1, 5.5, 6.9, 7.2, 7.10"
)
expected.row(
    "its head", None, head_name((int(top[0]), int(top[1]))), published="5.1 (or 5.5, 6.9, 7.2, 7.10)"
)

# %%
scores.figure()

# %%
for name in ("previous_token", "duplicate_token", "induction"):
    found = ", ".join(
        f"{head_name(head)} ({scores.score(name)[head]:.2f})" for head in scores.heads(name, at_least=0.3)
    )
    print(f"{name:16} {found or 'none above 0.3'}")

# %% [markdown]
# ## Two models that copy, in two ways
#
# The two demo models are of one size and were taught the same text. Here are both of them:

# %%
both = {
    name: scores if name == MODEL else interp.head_scores(interp.load_model(name), n_ablated=0)
    for name in ("demo-gpt2", "demo-qwen3")
}
for model_name, theirs in both.items():
    print(f"{model_name}: loss {theirs.first_copy_loss:.2f} -> {theirs.second_copy_loss:.2f}")
    for name in ("previous_token", "duplicate_token", "induction"):
        found = ", ".join(
            f"{head_name(head)} ({theirs.score(name)[head]:.2f})" for head in theirs.heads(name, at_least=0.3)
        )
        print(f"  {name:16} {found or 'none above 0.3'}")

# %% [markdown]
# Both copy (look at the loss). `demo-qwen3` does it as the literature says, and `demo-gpt2` has *no* induction head. What does it do?
# Look at where its heads look, counted from the earlier occurrence of the token (shift 0: that token itself; shift 1: the one after it,
# which is induction; shift 2: two places after).

# %%
theirs = both["demo-gpt2"]
best = theirs.by_shift.max((1, 2))
for shift, value, heads in zip(theirs.shifts, best, theirs.by_shift, strict=True):
    head = np.unravel_index(heads.argmax(), heads.shape)
    print(f"shift {shift:+d}: highest attention {value:.2f} (head {head[0]}.{head[1]})")

# %% [markdown]
# In `demo-gpt2` the heads of layer 1 look *two* places after the earlier occurrence: there, a previous-token head of layer 0 has put
# a copy of the token that is wanted. It is the same idea in another order. A score that was made for one mechanism does not see the
# other: **a low induction score is not the absence of copying**.
#
# ## A score is not an effect
#
# Where a head looks is one thing; what is lost without it another. `scores.cost` has what the second copy costs *more* when a single
# head is replaced by its mean.
#
# **Predict**: the rank correlation between induction score and cost, over all heads (1: the same order; 0: nothing to do with each
# other).

# %%
prediction = None

# %%
cost = scores.cost.mean
costly = np.argsort(-cost, axis=None)[:4]
for i in costly:
    head = np.unravel_index(i, cost.shape)
    print(
        f"{head[0]}.{head[1]}: costs {cost[head]:+.2f} nats a token, induction score {induction[head]:.2f}, previous-token score {scores.score('previous_token')[head]:.2f}"
    )
expected.row("rank correlation, induction score and cost", prediction, scores.agreement("induction"))

# %% [markdown]
# ## Take them out together
#
# Single heads stand in for each other, so take out several at once: the three with the highest induction scores. Beside it, three
# *random* heads: without that, a loss says nothing about these heads in particular.

# %%
order = np.argsort(-induction, axis=None)[:3]
three = [tuple(int(x) for x in np.unravel_index(i, induction.shape)) for i in order]
PROMPT = "When Mary and John went to the store, John gave a drink to"
without = interp.head_ablation(model, PROMPT, three, answer=" Mary", foil=" John", kinds=["mean"])
copy = without.measures.index("copy_loss")
print("without", ", ".join(map(head_name, three)))
print(f"loss on the second copy: {without.before[copy]:.2f} before, {without.after[0, copy]:.2f} after")
print("without three random heads:", without.random[0, :, copy].round(2).tolist())

# %%
without.figure()

# %% [markdown]
# **What was seen.** In `demo-gpt2` nothing happens without the three of the highest score, and one of the random sets destroys the copy:
# it has one of the costly heads of layer 0 in it. A score that was made for another mechanism picks the wrong heads.
#
# **When this number misleads.** Random tokens are no text. A head may copy nonsense and do something else on sentences; and the mean of
# a loss hides single tokens that are missed altogether. Look at the loss token by token:

# %%
second = scores.loss.mean[-scores.copy_length :]
print(second.round(1).tolist())
print(
    f"the worst token of the second copy is number {int(second[1:].argmax()) + 2}: {second[1:].max():.1f} nats"
)

# %% [markdown]
# In `demo-gpt2` one token of the copy costs about 8 nats, whatever the tokens are. It is a flaw of this model's learned positions, and
# the mean does not show it.
#
# ## Break it on purpose
#
# ### 1. Nothing to copy
#
# The same tokens, each still there twice, but in a random order. Nothing can be copied, so the loss must be high.

# %%
half = scores.copy_length
tokens = interp.make_dataset("repeated_tokens", model, n=4, length=half)
repeated = tokens.clean[0]
print("one of the sequences:", model.labels(repeated)[:6], "...")
rng = np.random.default_rng(0)
shuffled = (
    [repeated[0], *rng.permutation(repeated[1:]).tolist()]
    if model.bos_id is not None
    else rng.permutation(repeated).tolist()
)
for name, ids in (("said twice", repeated), ("the same tokens, shuffled", shuffled)):
    loss = (
        -model.forward(list(ids))[0]
        .log_softmax(-1)[:-1]
        .gather(1, model.to_tokens(list(ids)).ids[0, 1:, None])[:, 0]
    )
    print(f"{name:26} loss of the last ten tokens: {loss[-10:].mean():.2f}")

# %% [markdown]
# ### 2. Forget the position where copying cannot help
#
# The first token of the second copy comes out of nowhere. Nothing in the text says that it begins again, so that token does not belong
# into the mean, and `second_copy_loss` leaves it out. In a model of the world's text it costs as much as any random token.

# %%
print(f"first token of the second copy: {second[0]:.1f} nats; the others: {second[1:].mean():.2f}")

# %% [markdown]
# In `demo-gpt2` it costs nothing. Not that it guesses: in its training, copies were just so long, so that it knows by the *place* when
# the second one begins. Ask for another length (`interp.head_scores(model, length=10)`), and look again.
#
# ### 3. Replace heads by zeros

# %%
zeros = interp.head_ablation(
    model, PROMPT, three, answer=" Mary", foil=" John", kinds=["zero", "mean", "resample"]
)
for kind, row in zip(zeros.kinds, zeros.after, strict=True):
    print(
        f"{kind:9}",
        {measure: round(float(value), 2) for measure, value in zip(zeros.measures, row, strict=True)},
    )
print(
    "before   ",
    {measure: round(float(value), 2) for measure, value in zip(zeros.measures, zeros.before, strict=True)},
)

# %% [markdown]
# In `demo-gpt2` the three do nothing, whatever takes their place. For heads that matter, zeros may hurt ordinary text as well: they are nothing that
# these heads ever write. What takes a head's place is part of the result.
# Lesson 07 takes this up.
#
# ## Exercises
#
# **05.1** Which head has the highest previous-token score (`scores`)?

# %%
answer = None
check(answer, "05.1", model)

# %% [markdown]
# **05.2** Which head is the most costly to lose (`scores.cost`)?

# %%
answer = None
check(answer, "05.2", model)

# %% [markdown]
# **05.3** With copies of 10 tokens (`interp.head_scores(model, length=10)`), what is the loss in the second copy, to two decimals?

# %%
answer = None
check(answer, "05.3", model)

# %% [markdown]
# **Next**: [06 · Paths and edges](06_paths.ipynb). From heads to the wires between them.
