# %% [markdown]
# # 04 · Attention patterns, name movers, and how families of heads compose
#
# **What you will learn**: how to read an attention pattern; how to average it over prompts by role; what GPT-2 small's
# circuit for indirect objects looks like, family by family; and how to test whether *your* model has one like it.
#
# ## What a head does
#
# At each token a head asks a question (its **query**), every earlier token offers a **key**, and where they fit, the head
# looks: its **attention** there is high. Attention from one token sums to 1. What it brings back is the **value** of what
# it looks at.
#
# So there are two things to know of a head: **where it looks** (the pattern), and **what it writes when it looks there**.
# The first is easy to see, and says nothing about the second.

# %%
MODEL = "demo-gpt2"  # or "demo-qwen3", "gemma-3-270m", "gpt2"

# %%
import numpy as np

import interp
from interp.course import Expected, check
from interp.methods.common.names import head_name

model = interp.load_model(MODEL)
PROMPT = "When John and Mary went to the store, John gave a drink to"
small = model.arch.n_layers <= 6
pairs = interp.make_dataset("indirect_objects", model, n=60 if small else 30)
expected = Expected(model)

# %% [markdown]
# ## One prompt
#
# **Predict first.** At the last token ("to") the model must say " Mary". Where would you look, if you were a head: at "Mary",
# at the first "John", or at the second "John"? Write the word, or which John.

# %%
prediction = None  # such as "Mary", "first John", "second John"

# %%
PLACES = {"IO": "Mary", "S1": "first John", "S2": "second John"}
looks = interp.attention_by_role(model, pairs, between=[("END", role) for role in PLACES])
highest = {role: looks.of("END", role).mean.max() for role in PLACES}
best = max(highest, key=highest.get)
print({role: round(float(value), 2) for role, value in highest.items()})
expected.row("where the head looks that looks hardest", prediction, PLACES[best])

# %% [markdown]
# Here are the heads that look hardest at each of the three places, on one prompt. A row is the token that looks; a
# column is what is looked at. Hover over a cell for its number.


# %%
def top_heads(values, n):
    order = np.argsort(-values, axis=None)[:n]
    return [tuple(int(x) for x in np.unravel_index(i, values.shape)) for i in order]


chosen = dict.fromkeys(head for role in PLACES for head in top_heads(looks.of("END", role).mean, 1))
patterns = interp.attention_patterns(model, PROMPT, heads=list(chosen))
patterns.figure()

# %% [markdown]
# ## By role, over many prompts
#
# One prompt may mislead: the word that is looked at is also at a *place*. Over many templates, in both orders of the names,
# roles and places come apart. **END** is the last token; **IO** the indirect object; **S1** and **S2** the two mentions of the
# subject.
#
# **Predict**: how much attention does the strongest head pay from END to IO?

# %%
prediction = None  # between 0 and 1

# %%
expected.row("END to IO, strongest head", prediction, highest["IO"], published="0.59 (its name movers)")
expected.row("END to S2, strongest head", None, highest["S2"], published="0.51 (S-inhibition heads)")

# %%
looks.figure()

# %% [markdown]
# ## The published circuit
#
# In GPT-2 small (Wang et al. 2022) the answer is found by **families** of heads, in this order:
#
# 1. **Duplicate-token heads** and **induction heads**: at S2 they notice that this name was said before.
# 2. **S-inhibition heads**: at END they look at S2, and write "not this one". They act on the *queries* of the next family.
# 3. **Name movers**: at END they would look at any name, are turned away from S by family 2, so look at IO, and **copy** it.
# 4. **Negative name movers** do the opposite, and **backup name movers** step in when name movers are taken out.
#
# So families **compose**: one writes what the next one reads as its query, key or value. That can be tested. What makes a
# head a name mover is three things at once: it acts on the logits directly, it looks at IO, and it copies what it looks at.
#
# ## Do heads copy?
#
# **Copying score**: suppose that a head looked at a name alone. Would it make that name one of the five likeliest tokens? In
# how many of the cases?
#
# **Predict** the highest copying score of any head here.

# %%
prediction = None  # between 0 and 1

# %%
copies = interp.copying_scores(model, pairs)
copier = top_heads(copies.copying.mean, 1)[0]
suppressor = top_heads(copies.negative.mean, 1)[0]
print(
    f"copies most: {head_name(copier)} {copies.copying.mean[copier]:.2f}; suppresses most: {head_name(suppressor)} {copies.negative.mean[suppressor]:.2f}"
)
expected.row(
    "highest copying score", prediction, copies.copying.mean.max(), published="> 0.95 (its name movers)"
)
expected.row("mean copying score of all heads", None, copies.copying.mean.mean(), published="< 0.20")

# %% [markdown]
# ## Who acts on the logits, and who on whom?
#
# **Path patching** asks for a single connection: change what one head writes, but let only *one* reader see the change, with
# all else frozen. Readers are the logits (is it a last writer?) or the queries of other heads (does it steer where they
# look?). First the logits:

# %%
few = pairs[: 10 if small else 3]
direct = interp.path_patching(model, few, receivers=["logits"], mlps="recomputed")
effects = direct.by_head(direct.direct.mean)
totals = direct.by_head(direct.total.mean)
writers = top_heads(np.abs(effects), 3)
for head in writers:
    print(f"{head_name(head)}: direct {effects[head]:+.2f}, total {totals[head]:+.2f} logits")

# %% [markdown]
# Negative means: without it (as in the corrupted run) the difference falls, so the head *supports* the answer. Now: who acts on
# the queries of these heads at END, as S-inhibition heads do?

# %%
late = [head for head in writers if head[0] > 0]
if late:
    receivers = [f"a{layer}.h{head}<q>" for layer, head in late]
    on_queries = interp.path_patching(
        model, few, receivers=receivers, role="END", mlps="recomputed", totals=False
    )
    through = on_queries.by_head(on_queries.direct.mean)
    for head in top_heads(np.abs(through), 3):
        print(
            f"{head_name(head)} through the queries of {', '.join(map(head_name, late))}: {through[head]:+.2f} logits"
        )
else:
    print("The heads that act most are all in layer 0: no head stands below them.")

# %% [markdown]
# ## The whole of it: does this model have the families?
#
# `interp.ioi` goes through all steps of the paper, with its own tests, on whatever model you have.
#
# **Predict**: how many name movers does this model have, by the paper's three tests?

# %%
prediction = None

# %%
FEW = [
    "Then, [A] and [B] went to the [PLACE]. [S] gave a [OBJECT] to",
    "After [A] and [B] went to the [PLACE], [S] gave a [OBJECT] to",
]
study = interp.ioi(model, n=60 if small else 8, templates="paper" if small else FEW)
for family, heads in study.classes.items():
    print(f"{family:24}", ", ".join(heads) or "none")
expected.row("name movers", prediction, len(study.heads("name mover")), published="3: 9.9, 10.0, 9.6")

# %%
study.figure()

# %% [markdown]
# **What was seen.** A model may do the task in another way than GPT-2 small. In the demo models all of the paper's families are
# empty, though they name IO every time. That is an answer and not a failure: the heads that act were found all the same (they are
# in the classes "other direct heads" and "other total heads"), and where they look says how they may do it. In `demo-gpt2` they
# look at S2 and MLPs do the rest: 0.5 looks there with 0.99, and no head copies a name (the highest score is 0.08).
#
# ## Break it on purpose
#
# ### 1. Believe a pattern
#
# Take the head that looks hardest from END to IO, and one of those that act. Take each out (its mean over prompts of the same
# template in its place), and see what is lost:

# %%
looker, actor = top_heads(looks.of("END", "IO").mean, 1)[0], top_heads(np.abs(totals), 1)[0]
names = [f"a{layer}.h{head}" for layer, head in dict.fromkeys([looker, actor])]
lost = interp.ablation(model, pairs[:20] if small else few, names, kinds="resample")
for name, change in lost.changes("resample").items():
    where = "looks hardest at IO" if name == f"a{looker[0]}.h{looker[1]}" else "largest total effect"
    print(f"without {name} ({where}): {change:+.2f} of {lost.before.mean:.2f} logits")

# %% [markdown]
# Where a head looks does not say that it matters. In `demo-gpt2` the one that looks hardest at IO can go, and nothing is lost.
#
# ### 2. Mix the two orders of the names
#
# Is "looks at IO" really about the role, or about being the first or the second name?

# %%
for order in ("ABBA", "BABA"):
    ordered = interp.make_dataset("indirect_objects", model, n=20, order=order)
    by_order = interp.attention_by_role(model, ordered, between=[("END", "IO")])
    print(f"{order}: {head_name(looker)} looks at IO with {by_order.of('END', 'IO').mean[looker]:.2f}")

# %% [markdown]
# In ABBA prompts IO is named first, in BABA second. A head that goes by the *place* has a high number in one of them and a low
# one in the other, and a mean of about a half, which looks like a modest interest in the role. In `demo-gpt2`, 4.1 does just that: 0.01 in ABBA,
# 0.99 in BABA. It looks at the second name, whoever that is.
#
# ### 3. The first token soaks up attention

# %%
pattern = interp.attention_patterns(model, PROMPT)
to_first = pattern.patterns[:, -1, 0]
print(
    f"{(to_first > 0.5).sum()} of {len(to_first)} heads pay more than half of their attention at END to the first token"
)

# %% [markdown]
# Attention must sum to 1, so a head that has nothing to do puts it somewhere: often on the first token. It means "nothing
# here", not "the first token matters".
#
# ## Exercises
#
# **04.1** Over `pairs`, which head pays most attention from S2 to S1? (`interp.attention_by_role` with
# `between=[("S2", "S1")]`.)

# %%
answer = None
check(answer, "04.1", model)

# %% [markdown]
# **04.2** On `PROMPT`, how much attention does the very first head (0.0) pay from the last token to itself, to two decimals?

# %%
answer = None
check(answer, "04.2", model)

# %% [markdown]
# **04.3** True or False: on the *corrupted* prompts (`side="corrupted"`: nobody is named twice), the head that pays most from END to
# the place of S2 is the same as on the clean ones.

# %%
answer = None
check(answer, "04.3", model)

# %% [markdown]
# **Next**: [05 · Induction heads](05_induction.ipynb). The best known family of all.
