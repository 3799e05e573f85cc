# %% [markdown]
# # 06 · Paths and edges: who reads whom?
#
# Patching a head says what *everything* that follows from it does. But a model is a graph: heads and MLPs write to the residual
# stream, and later heads and MLPs read from it. An **edge** is one connection: from one writer to one reader.
#
# **What you will learn**: path patching (one edge or a few at a time); direct and total effects; every edge of a small model, patched
# exactly; and what the cheap estimates of edges get wrong.

# %%
MODEL = "demo-gpt2"  # or "demo-qwen3", "gemma-3-270m", "gpt2"

# %%
import numpy as np

import interp
from interp.course import Expected, check
from interp.methods.common.graph import Graph

model = interp.load_model(MODEL)
small = model.arch.n_layers <= 6
pairs = interp.make_dataset("indirect_objects", model, n=10 if small else 2, templates="taught")
expected = Expected(model)

# %% [markdown]
# ## The graph
#
# **Writers** (senders): the input (embeddings), every head, every MLP. **Readers** (receivers): the query, key and value of every head
# (three different things: they decide where it looks, where it can be found, and what it brings), every MLP, and the logits at the end.
# An edge goes from a writer to any *later* reader.
#
# **Predict first**: how many edges does this model have?

# %%
print(model.arch.n_layers, "layers of", model.arch.n_heads, "heads, and an MLP in each")
prediction = None

# %%
graph = Graph.of(model)
expected.row("edges of the graph", prediction, len(graph.edges), published="32,491")

# %%
print("some of them:", ", ".join(graph.edges[:3]), "...", ", ".join(graph.edges[-3:]))

# %% [markdown]
# ## Direct and total
#
# Take what a head writes from the corrupted run.
#
# - **Total effect**: everybody who reads it sees the change.
# - **Direct effect** on the logits: only the logits see it. All other heads (and, here, MLPs) write what they wrote in the clean run.
#
# **Predict**: for the head with the largest total effect, how much of it is direct?

# %%
prediction = None  # a share, such as 0.5

# %%
paths = interp.path_patching(model, pairs, receivers=["logits"], mlps="frozen")
total, direct = paths.total.mean, paths.direct.mean
first = int(np.abs(total).argmax())
print(
    f"{paths.senders[first]}: total {total[first]:+.2f}, direct {direct[first]:+.2f} of {paths.base_value:.2f} logits"
)
expected.row("share that is direct, for the largest total effect", prediction, direct[first] / total[first])

# %%
paths.figure()

# %% [markdown]
# Negative means: with the corrupted output the difference falls, so the head supports the answer. Where the direct effect is nearly
# nothing, *others* turn what the head writes into the answer. Which ones?
#
# **MLPs** are the first suspects. Let the MLPs between the head and the logits react ("recomputed"), as Wang et al. did:

# %%
through = interp.path_patching(model, pairs, receivers=["logits"], mlps="recomputed", totals=False)
print(
    f"{paths.senders[first]}: total {total[first]:+.2f}; direct with MLPs frozen {direct[first]:+.2f}, recomputed {through.direct.mean[first]:+.2f}"
)

# %% [markdown]
# The two settings may tell opposite stories about the same head, and both are right: with frozen MLPs "direct" means the head's own
# output; with recomputed ones it includes what MLPs make of it. **So a figure of direct effects must name its setting.**
#
# ## Every edge, exactly
#
# `edge_attribution` scores each edge by itself. With `method="exact"` each edge is patched, one run after the other (computed as
# branches of one run, so that it takes seconds here). Positive: the edge supports the answer.

# %%
edges = interp.edge_attribution(
    model, pairs[:4] if small else pairs, method="exact" if small else "eap-ig-inputs"
)
for name, score in edges.strongest(8):
    print(f"{name:22} {score:+.2f}")

# %% [markdown]
# `<q>`, `<k>` and `<v>` say through which of the three a head reads. An edge into `<v>` of a head: *what* it brings was changed. Into
# `<q>`: *where it looks*.
#
# ## Estimates
#
# A model of GPT-2's size has 32,491 edges. **EAP** (edge attribution patching; Syed et al. 2023) estimates all of them from one backward
# pass, to first order. **EAP-IG** (Hanna et al. 2024) averages gradients on the way from one prompt to the other.
#
# **Predict**: the correlation of EAP's scores with the exact ones, over all edges.

# %%
prediction = None

# %%
sample = pairs[:4] if small else pairs
by_method = {name: interp.edge_attribution(model, sample, method=name) for name in ("eap", "eap-ig-inputs")}
for name, estimate in by_method.items():
    agreement = np.corrcoef(edges.scores.value, estimate.scores.value)[0, 1]
    shared = len({n for n, _ in edges.strongest(20)} & {n for n, _ in estimate.strongest(20)})
    print(
        f"{name:14} correlation with {edges.method} {agreement:.2f}; {shared} of the 20 strongest are the same"
    )
    if name == "eap":
        expected.row(f"correlation of EAP with {edges.method}", prediction, agreement)
expected

# %% [markdown]
# **What was seen.** In `demo-gpt2` EAP has 0.38 and EAP-IG 0.95, and of the 20 strongest edges both find three quarters: a correlation is made
# by a few large errors. Estimates are good where the metric is nearly linear in what is changed, and bad where attention is saturated: a head
# that looks at one place with 0.99 has a gradient of nearly nothing there, though moving its attention would change everything.
#
# **When these numbers mislead.** An edge *by itself* shows nothing where two edges stand in for each other: each can be lost, and only both
# together matter. And of thousands of edges some look large by chance: with few prompts, look at the intervals (`edges.scores.low`,
# `.high`).
#
# ## Break it on purpose
#
# ### 1. An edge that cannot be

# %%
try:
    interp.path_patching(model, pairs[:1], receivers=["a9999.h0<q>"])
except interp.InterpError as error:
    print(error)

# %%
backwards = interp.path_patching(
    model, pairs[:2], senders=[f"m{model.arch.n_layers - 1}"], receivers=["a1.h0<q>"], totals=False
)
print("from the last MLP to a query of layer 1:", backwards.direct.mean)

# %% [markdown]
# A name that is not there is an error. A path that leads backwards has an effect of exactly 0.
#
# ### 2. An estimate that is blind
#
# The KL divergence from the clean prediction is *least* at the clean run, so its gradient there is 0, whatever matters. A first-order
# estimate would call every edge unimportant:

# %%
try:
    interp.edge_attribution(model, pairs[:1], method="eap", metric="kl")
except interp.InterpError as error:
    print(error)

# %% [markdown]
# ### 3. The other direction
#
# Denoising asks what a *single* edge brings back into the corrupted run. Compare the sums:

# %%
forth = edges.scores.value
back = interp.edge_attribution(model, sample, method=edges.method, direction="denoising").scores.value
print(f"noising: strongest edge {np.abs(forth).max():.2f} logits; denoising: {np.abs(back).max():.2f}")
print(f"correlation of the two: {np.corrcoef(forth, back)[0, 1]:.2f}")

# %% [markdown]
# What is needed and what suffices are different questions for edges, too (lesson 02).
#
# ## Exercises
#
# **06.1** How many edges end at the logits? (Their names end in `->logits`.)

# %%
answer = None
check(answer, "06.1", model)

# %% [markdown]
# **06.2** With MLPs frozen, what is the direct effect on the logits of the *last MLP* as a sender (`senders=["m..."]`, `pairs[:2]`), in
# logits to one decimal?

# %%
answer = None
check(answer, "06.2", model)

# %% [markdown]
# **06.3** True or False: among the 8 strongest edges of `method="eap-ig-inputs"` on `pairs[:2]`, at least one ends at the logits.

# %%
answer = None
check(answer, "06.3", model)

# %% [markdown]
# **Next**: [07 · A circuit](07_circuit.ipynb). Are some edges together the whole explanation?
