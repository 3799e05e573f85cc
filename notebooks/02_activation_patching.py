# %% [markdown]
# # 02 · Activation patching: where does the answer live?
#
# A lens *reads*. It cannot say whether the model uses what was read. To know that, **change** something and see what
# happens. **Activation patching** changes one activation, and puts there what it is in another run of the same model.
#
# **What you will learn**: clean and corrupted runs; denoising and noising, and why they are not the same question; how
# to read a map of layers and positions; what recovery above 1 or below 0 means.
#
# ## Two runs
#
# We take two prompts that differ in one word, and in their answer.
#
# | run | prompt | answer |
# |---|---|---|
# | **clean** | The capital of France is | Paris |
# | **corrupted** | The capital of Japan is | Tokyo |
#
# The metric is $\text{logit}(\text{Paris}) - \text{logit}(\text{Tokyo})$: large in the clean run, far below 0 in the
# corrupted one.

# %%
MODEL = "demo-gpt2"  # or "demo-qwen3", "gemma-3-270m", "gpt2"

# %%
import interp
from interp import Edit
from interp.course import Expected, check

model = interp.load_model(MODEL)
PAIR = {
    "clean": "The capital of France is",
    "corrupted": "The capital of Japan is",
    "answer": " Paris",
    "foil": " Tokyo",
}
paris, tokyo = model.to_single_token(" Paris"), model.to_single_token(" Tokyo")


def metric(logits) -> float:
    return (logits[0, -1, paris] - logits[0, -1, tokyo]).item()


clean_value, corrupted_value = metric(model.forward(PAIR["clean"])), metric(model.forward(PAIR["corrupted"]))
print(f"clean {clean_value:+.2f}, corrupted {corrupted_value:+.2f} logits")
print("tokens:", model.labels(model.to_tokens(PAIR["clean"]).row(0)))

# %% [markdown]
# ## One patch by hand
#
# Run the corrupted prompt, but put into one place (a layer and a position) what is there in the clean run. Then see how
# much of the clean metric is back:
#
# $$\text{recovery} = \frac{\text{patched} - \text{corrupted}}{\text{clean} - \text{corrupted}}$$
#
# 0: nothing is back. 1: all of it is.

# %%
layer = model.arch.n_layers // 2
(country,) = model.positions_of(PAIR["clean"], " France")
clean_run = model.run_with_cache(PAIR["clean"], ["resid_pre"])  # the stream as each layer reads it
donor = clean_run["resid_pre", layer][0, country]

patched = metric(
    model.forward(PAIR["corrupted"], [Edit.set("resid_pre", layer, value=donor, positions=country)])
)
by_hand = (patched - corrupted_value) / (clean_value - corrupted_value)
print(f"the country's stream as layer {layer} reads it: patched {patched:+.2f}, recovery {by_hand:.3f}")

# %% [markdown]
# ## All of them
#
# **Predict first.** The country is one word; the answer is read at the last word, "is". Somewhere the information must go
# from one to the other. At the *first* layer, how much does the country's place bring back? And the last word's place?
# What about the *last* layer?

# %%
country_first_layer = None  # recovery at the country, at layer 0
end_first_layer = None  # at the last word, at layer 0
country_last_layer = None  # at the country, at the last layer
end_last_layer = None  # at the last word, at the last layer

# %%
denoised = interp.causal_tracing(model, **PAIR)
expected = Expected(model)
expected.row(
    "country, first layer", country_first_layer, denoised.recovery[0, country], published="about 1.0"
)
expected.row("last word, first layer", end_first_layer, denoised.recovery[0, -1])
expected.row("country, last layer", country_last_layer, denoised.recovery[-1, country])
expected.row(
    "last word, last layer", end_last_layer, denoised.recovery[-1, -1], published="the last token, late"
)

# %%
assert abs(denoised.recovery[layer, country] - by_hand) < 1e-3  # the same as by hand
denoised

# %%
denoised.figure()

# %% [markdown]
# **What was seen.** At first the difference between the prompts is at the country alone, so all of it comes back from there.
# At the end it is at the last word alone, where the answer is read. In between, attention carries it over. Other places
# hold nothing of it: both prompts are alike there.
#
# ## Denoising and noising
#
# What we did is **denoising**: clean into corrupted. It asks: is this activation **sufficient** to bring the answer back?
#
# The other direction is **noising**: corrupted into clean. It asks: is this activation **necessary**, is the answer lost
# without it?
#
# They are not the same. Suppose that the answer needs A *and* B. Restoring A alone brings nothing back, but losing A
# loses all. Suppose that A *or* B is enough. Restoring A brings it all back, but losing A loses nothing, as there is B.
#
# | | denoising A (recovery) | noising A (recovery) |
# |---|---|---|
# | answer needs A **and** B | 0 | 0: lost |
# | answer needs A **or** B | 1 | 1: nothing lost |
#
# Recovery is on the same scale in both directions: 1 is the clean run, 0 the corrupted one. So a place that matters
# shows as **high** in denoising and as **low** in noising.
#
# **Predict**: in noising, what is recovery at the country at layer 0?

# %%
prediction = None

# %%
noised = interp.causal_tracing(model, **PAIR, direction="noising")
expected.row("noising: country, first layer", prediction, noised.recovery[0, country])

# %%
noised.figure()

# %% [markdown]
# Are there places at which the two directions disagree? If each place were by itself the whole story, denoising + noising
# would be 1 everywhere.

# %%
total = denoised.recovery + noised.recovery
place = divmod(int(abs(total - 1).argmax()), total.shape[1])
print(
    f"furthest from 1: {total[place]:.2f} at layer {place[0]}, position {place[1]} ({denoised.clean_tokens[place[1]]!r})"
)

# %% [markdown]
# A sum above 1 at some place says: enough there, but not needed (an *or*). Below 1: needed, but not enough (an *and*).
# The metric is not linear in the stream either, so small differences say nothing.
#
# ## Which part carries it over?
#
# `resid_pre` is the whole stream. Patch what attention or the MLP of one layer *adds* at the last word:

# %%
for site in ("attn_out", "mlp_out"):
    part = interp.causal_tracing(model, **PAIR, site=site)
    print(f"{site:8} at the last word, by layer: {part.recovery[:, -1].round(2).tolist()}")

# %% [markdown]
# Where attention has a high number, it brings the country over from its place. Where the MLP has one, it makes something
# of what has arrived. In `demo-gpt2` several layers share the work, and each part brings back less than the whole stream does. In
# `demo-qwen3` and Gemma 3 270M the attention of one layer alone brings back nearly all (0.95 at layer 2, 0.99 at layer 12).
#
# ## Break it on purpose
#
# ### 1. Prompts of different lengths

# %%
try:
    interp.causal_tracing(model, **PAIR | {"corrupted": "The capital of the country of Japan is"})
except interp.InterpError as error:
    print(error)

# %% [markdown]
# A position must mean the same in both prompts. If a tool pads or cuts here without a word, its map is of something else.
#
# ### 2. Two prompts that hardly differ in the metric

# %%
try:
    interp.causal_tracing(
        model, **PAIR | {"clean": "The capital of Japan is", "corrupted": "The capital of France is"}
    )
except interp.InterpError as error:
    print(error)

# %% [markdown]
# Recovery divides by clean - corrupted. Where that is nothing, or has the wrong sign, the ratio is noise, and it is refused.
#
# ### 3. Another metric

# %%
by_prob = interp.causal_tracing(model, **PAIR, metric="prob")
print("logit difference, last word:", denoised.recovery[:, -1].round(2).tolist())
print("probability,      last word:", by_prob.recovery[:, -1].round(2).tolist())

# %% [markdown]
# In the demo models the probability jumps where the answer overtakes its rivals, and looks like a switch where the difference
# grows bit by bit. In Gemma 3 270M both jump at layer 13, the difference to 0.91 and the probability to 3.49, far above what it is in
# the clean run. The same model, the same patches: the metric decides the shape.
#
# ### 4. A corrupted prompt that differs in too much

# %%
far = interp.causal_tracing(
    model,
    clean="The capital of France is",
    corrupted="The currency of Japan is",
    answer=" Paris",
    foil=" yen",
)
far.recovery.round(2)

# %% [markdown]
# Two words differ now, so that the map mixes two questions: which country, and what of it. An interchange shows what
# *differs between the two prompts*, and nothing else.
#
# ## Exercises
#
# **02.1** By denoising, what is the recovery at the last word as layer `n_layers // 2` reads it (`layer` above), to two
# decimals?

# %%
answer = None
check(answer, "02.1", model)

# %% [markdown]
# **02.2** By how many logits does the metric fall when the country is noised at layer 0? (Clean value minus patched value, to one
# decimal.)

# %%
answer = None
check(answer, "02.2", model)

# %% [markdown]
# **02.3** True or False: with Italy and Rome in the place of Japan and Tokyo, the place of the strongest effect in denoising
# (`peak`: layer and position) is the same.

# %%
answer = None
check(answer, "02.3", model)

# %% [markdown]
# **Next**: [03 · Heads](03_heads.ipynb). Which parts of a layer do the work?
