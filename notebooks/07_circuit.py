# %% [markdown]
# # 07 · A circuit, and whether to believe it
#
# A **circuit** is a claim: *these* heads and MLPs (or these edges) do the task, and the rest does not matter. It is a claim that can be
# tested: take everything else away, and see whether the behaviour is still there.
#
# **What you will learn**: to build a circuit from scores; to measure its **faithfulness**; why random circuits of the same size must
# stand beside it; and how the *kind of ablation* decides the number that you publish.

# %%
MODEL = "demo-gpt2"  # or "demo-qwen3", "gemma-3-270m", "gpt2"

# %%
import interp
from interp.course import Expected, check

model = interp.load_model(MODEL)
small = model.arch.n_layers <= 6
expected = Expected(model)

# Two sets of pairs that share no prompt: one to find the circuit on, one to test it on.
found_on = interp.make_dataset("indirect_objects", model, n=8 if small else 2, templates="taught", seed=0)
tested_on = interp.make_dataset("indirect_objects", model, n=20 if small else 4, templates="taught", seed=1)
assert not set(found_on.clean) & set(tested_on.clean)

# %% [markdown]
# Why two sets? A circuit that was *chosen* on some prompts looks good on them for that reason alone.
#
# ## From scores to a circuit
#
# Score every head and MLP by itself (as in lesson 06, by noising), and keep those of the largest scores.

# %%
scores = interp.node_attribution(model, found_on)
for name, score in scores.strongest(10):
    print(f"{name:8} {score:+.2f} logits")

# %%
size = round(0.3 * len(scores.names))
circuit = scores.scored.top(size)
print(f"{len(circuit.members)} of {len(scores.names) - 1} parts:", ", ".join(sorted(circuit.members)))

# %% [markdown]
# ## Faithfulness
#
# Run the model with everything *outside* the circuit **ablated**: replaced by something that knows nothing of this prompt. Then
#
# $$\text{faithfulness} = \frac{m(\text{circuit}) - m(\text{nothing})}{m(\text{model}) - m(\text{nothing})}$$
#
# 1: the circuit does it all. 0: no more than with everything ablated. The published circuit of 26 heads in GPT-2 small has 0.87.
#
# Here "replaced" means: by what it is in the corrupted run (**resample**).
#
# **Predict first**: the faithfulness of our circuit; and of a *random* circuit of the same size.

# %%
prediction_of_ours = None
prediction_of_random = None

# %%
tested = interp.faithfulness(model, tested_on, circuit, n_random=5)
ours = tested.faithfulness[0, tested.runs.index("circuit")]
random = tested.random_faithfulness[0]
expected.row(
    "faithfulness of the circuit, resampled", prediction_of_ours, ours.value, published="0.87 (mean ablation)"
)
expected.row("best of five random circuits", prediction_of_random, random.max())

# %%
print(f"the circuit: {ours.value:.2f}, 95 % interval {ours.low:.2f} to {ours.high:.2f} over templates")
print("random circuits:", random.round(2).tolist())

# %% [markdown]
# Always look at the random ones. If they do nearly as well, then the size (or the MLPs that are in every one of them) does the work, and
# not the choice.
#
# ## The kind of ablation decides
#
# Other things can take the place of what is outside: the **mean** over prompts, the mean over prompts of the same **template**, or
# **zeros**. They are all used in papers. Here are all of them for the *same* circuit on the *same* prompts:
#
# **Predict**: how far apart are the highest and the lowest of them?

# %%
prediction = None

# %%
column = tested.runs.index("circuit")
by_kind = dict(zip(tested.ablations, tested.faithfulness.value[:, column].tolist(), strict=True))
for kind, value in by_kind.items():
    best = tested.random_faithfulness[tested.ablations.index(kind)].max()
    print(f"{kind:18} {value:6.2f}   (best random circuit {best:.2f})")
for kind, why in tested.left_out:
    print(f"{kind:18} cannot be had here: {why}")
spread = max(by_kind.values()) - min(by_kind.values())
expected.row(
    "spread over kinds of ablation",
    prediction,
    spread,
    published="from below 0 to above 1 (Miller et al. 2024)",
)

# %%
tested.figure()

# %% [markdown]
# **What was seen.** In `demo-gpt2` the same circuit has 0.92, 0.28 and 0.68, and by zeros a *random* one does better than ours. One circuit,
# several numbers. None is wrong: they answer different questions.
#
# - **resample**: can the circuit tell *this* prompt from that other one? What both prompts share (grammar, places) is left to the rest.
# - **mean**: what is the same in all prompts is left to the rest, as an average that no single prompt ever has.
# - **mean_by_template**: like mean, but the average of prompts that are alike, which is what Wang et al. used.
# - **zero**: nothing is left to the rest. It takes away also what is always there and says nothing, and the model has never seen zeros.
#
# So "faithfulness 0.9" says nothing without "of what, against what".
#
# ## How large must it be?
#
# **Predict**: what share of the edges is enough for a faithfulness of 0.8?

# %%
prediction = None  # such as 0.1

# %%
edges = interp.edge_attribution(model, found_on[:4], method="eap-ig-inputs")
curve = interp.faithfulness_curve(model, tested_on[:10], edges.scored)
enough = next((f for f, v in zip(curve.fractions, curve.faithfulness.value, strict=True) if v >= 0.8), 1.0)
expected.row("share of edges that is enough for 0.8", prediction, enough)
expected.row("area under the curve (CPR)", None, curve.cpr.value, published="1.85 (MIB, EAP-IG-inputs)")

# %%
curve.figure()

# %% [markdown]
# CPR above 1 is no honour: the circuit then does *more* than the model, because parts that work against the answer were left out.
#
# ## Complete?
#
# A circuit may be faithful and still miss something: parts that step in when others fail. **Completeness** takes parts out of both the
# circuit and the model. If the circuit is the whole story, both break alike.

# %%
parts = interp.completeness(model, found_on, circuit, n_random=3, n_greedy=2)
for name, left, whole in zip(parts.parts, parts.circuit_without, parts.model_without, strict=True):
    print(
        f"without {name:9} circuit {left:6.2f}   model {whole:6.2f}   difference {abs(left - whole):.2f} logits"
    )

# %% [markdown]
# **What was seen.** Without random parts, the circuit of `demo-gpt2` and the whole model break alike (0.3 to 0.5 logits apart). Without those
# that a greedy search picks, to set the two as far apart as it can, they do not (2 to 3 logits): the circuit is faithful, and not complete.
#
# ## Break it on purpose
#
# ### 1. Test it where it was found

# %%
same = interp.faithfulness(model, found_on, circuit, compare=(), n_random=0)
print(f"on the pairs that it was found on: {same.faithfulness.value[0, 2]:.2f}; on others: {ours.value:.2f}")

# %% [markdown]
# ### 2. Keep all MLPs, and let heads take the credit

# %%
no_heads = interp.Circuit.of(model, ["a0.h0"])
kept = interp.faithfulness(model, tested_on, no_heads, keep_mlps=True, compare=(), n_random=5)
print(
    f"all MLPs and head 0.0 alone: {kept.faithfulness.value[0, 2]:.2f}; with a random head: {kept.random_faithfulness[0].round(2).tolist()}"
)

# %% [markdown]
# "k heads explain 90 %" may be said of a circuit that has all MLPs in it. The random circuits show how much that gives away. In the demo
# models it is nothing: MLPs bring nothing over from another token, so that without the right heads they have nothing to work on.
#
# ### 3. Take the whole model as the circuit

# %%
everything = interp.faithfulness(model, tested_on[:4], circuit.full, compare=(), n_random=0)
print(f"all parts: {everything.faithfulness.value[0, 2]:.6f}")

# %% [markdown]
# Exactly 1, as it must be. A method that does not give 1 here is wrong.
#
# ### 4. The wrong sign

# %%
highest, largest = scores.scored.top(size, absolute=False), scores.scored.top(size)
for name, one in (("largest in size", largest), ("highest (only what helps)", highest)):
    value = interp.faithfulness(model, tested_on, one, compare=(), n_random=0).faithfulness.value[0, 2]
    print(f"{name:26} {value:.2f}")

# %% [markdown]
# Parts that work *against* the answer belong to the mechanism. Leave them out, and the circuit is another thing than the model: it may do
# less, as in `demo-gpt2`, or more than the model itself (above 1).
#
# ## Exercises
#
# **07.1** Take the circuit of the *five* largest scores (`scores.scored.top(5)`). What is its faithfulness on `tested_on` by resampling, to
# two decimals?

# %%
answer = None
check(answer, "07.1", model)

# %% [markdown]
# **07.2** The same five, by `ablation="zero"`?

# %%
answer = None
check(answer, "07.2", model)

# %% [markdown]
# **07.3** True or False: the circuit of *all heads and no MLP* has a faithfulness above one half, by resampling on `tested_on`. (Names: a0 is
# all heads of layer 0.)

# %%
answer = None
check(answer, "07.3", model)

# %% [markdown]
# **Next**: [08 · Sparse autoencoders](08_sparse_autoencoders.ipynb). Are heads and neurons the right parts at all?
