# %% [markdown]
# # 11 · Attribution graphs: which features made this answer, and is it true?
#
# Lesson 08 read features at one place. An **attribution graph** asks for the whole way: which features at which tokens, through which others,
# made *this* answer to *this* prompt. Every MLP is replaced by a **transcoder**, a sparse dictionary of what the MLP *does* (it reads what goes
# in, and writes what comes out), and by what that leaves over, an **error**. Attention patterns and the scales of norms are held as they are. Then
# all but the features' own activation is linear, and what each node gives to every other is an exact number.
#
# **What you will learn**: to read such a graph; how much of it is features and how much is error; to knock its nodes out, in the graph's own
# model and in the real one, and to see where these part; to intervene on a group; and to ask why a head attends where it does.

# %%
MODEL = "demo-gpt2"  # or "demo-qwen3", "gemma-3-270m", "gpt2"

# %%
import numpy as np

import interp
from interp.course import Expected, check
from interp.methods.graphs.graph_files import graph_file
from interp.methods.graphs.names import names_by_corpus
from interp.saes.recipe import Recipe
from interp.text.sequences import load_text

model = interp.load_model(MODEL)
packaged = MODEL in ("demo-gpt2", "demo-qwen3")  # trained transcoders come with these two
expected = Expected(model)
PROMPT, ANSWER = "The capital of France is", " Paris"

# %% [markdown]
# Those of the package stand for all six MLPs at once, 640 features each. For another model a few hundred steps on this repository's text have to
# do, which shows how a graph is made, and not much more.

# %%
if packaged:
    transcoders = interp.load_transcoders(MODEL, model)
else:
    text, _ = load_text(model, "../docs/methodology.md", training=24, held_out=2, length=64)
    recipe = Recipe(kind="topk", n_features=2 * model.arch.d_model, k=16, steps=60, learning_rate=4e-3)
    transcoders, _ = interp.train_transcoders(model, text, recipe, batch_size=256)
transcoders

# %% [markdown]
# ## The graph
#
# Hundreds of features are active on five words. Most do nothing for the answer, so the graph is **pruned**: nodes stay that together have 80 % of the
# influence on it.
#
# **Predict first.** How many features are left? And the **replacement score**: of all that reaches the answer, what share goes back to *tokens*
# through features, and not to errors? (1: all is explained; 0: nothing.)

# %%
prediction_of_features = None
prediction_of_score = None

# %%
names = names_by_corpus(model, transcoders, sequences=48)  # what features say; None without the demo corpus
graph = interp.attribution_graph(model, transcoders, PROMPT, answer=ANSWER, names=names)
nodes = graph.nodes
features = nodes.of_kind("feature")
expected.row("active features", None, graph.n_active)
expected.row("features left", prediction_of_features, int(features.sum()))
expected.row(
    "replacement score",
    prediction_of_score,
    graph.replacement_score,
    published="0.777 by circuit-tracer 0.5.0, on demo-gpt2, without the first token's errors",
)
expected.row("with all MLPs replaced and no errors it says", None, graph.replaced_choice)

# %%
graph.figure()

# %% [markdown]
# Tokens below, the answer above, one row for each layer's MLP. A feature with a name says that label of the demo corpus. `interp.graph_page(graph,
# "france.html")` makes a page of it, without a server, in which nodes are clicked, pinned, and put into named groups.
#
# ## Is it true?
#
# A graph is a claim: *without this node, the answer would lose so much*. It can be tested, node by node. Three numbers stand beside each:
#
# - **graph**: what follows from its arrows, if each feature loses as large a share of itself as of its input;
# - **local model**: the node taken out where MLPs are features and errors, and attention is held;
# - **model**: the node taken out of the model itself. This one is the truth.

# %% [markdown]
# **Predict**: the correlation, over the features that are left, of what the graph says and what the model loses.

# %%
prediction = None

# %%
expected.row("graph and model, over features", prediction, graph.node_correlation)
expected.row("graph and local model", None, graph.local_correlation)
expected.row("local model and model", None, graph.model_correlation)
expected.row("over edges: graph and model", None, graph.edge_correlation)

# %% [markdown]
# **What was seen.** In `demo-gpt2` graph and local model agree (0.96), so the arrows add up. It is the local model that parts from the model (0.64): in the
# model, attention moves when something is taken away, and a graph holds it fixed. Edges do better (0.88), as they pass through no other MLP.
#
# It is worst at the tokens:

# %%
for i in np.flatnonzero(nodes.of_kind("token")).tolist():
    print(
        f"without {nodes.labels[i]!r:16} graph {nodes.attribution[i, 0]:+6.1f}   model {nodes.in_model[i, 0]:+6.1f} logits of {ANSWER}"
    )

# %% [markdown]
# ## Intervene
#
# A group of nodes, a **supernode**, is scaled together where it writes: 0 takes it away, 2 doubles it. The model responds with everything that comes after.
# Here the three features with the most influence, and then all that are left.
#
# **Predict**: the probability of the answer without *all* the features of the graph.

# %%
prediction = None

# %%
ids = [node.node_id for node in graph_file(graph).nodes]
by_influence = np.argsort(-np.where(features, nodes.influence, -1))
strongest = [ids[i] for i in by_influence[:3].tolist()]
interp.scale_nodes(
    model, transcoders, PROMPT, strongest, [0.0, 2.0], name="the three strongest", answer=ANSWER
)

# %%
every = [ids[i] for i in np.flatnonzero(features).tolist()]
all_off = interp.scale_nodes(
    model, transcoders, PROMPT, every, [0.0], name="all features left", answer=ANSWER
)
expected.row("p(answer) as it is", None, all_off.answer_probability[0])
expected.row("p(answer) without all features of the graph", prediction, all_off.answer_probability[1])

# %% [markdown]
# **What was seen.** In `demo-gpt2` the three most influential features are not needed (0.998 without them): what one does others do, too. Without all 44 the
# answer is gone (below 1e-8). Influence does not tell these two apart; that is why the
# truth stands beside the influence.
#
# ## Why does a head look there?
#
# The graph takes patterns as given. But a score is a product of a query and a key, and each is a sum of what tokens, features and errors put in: so the
# score is an exact sum over *pairs* of nodes. Here: of the heads in the middle of the model, the one that looks from the last token most at the
# word before it.

# %%
layer = model.arch.n_layers // 2
pattern = model.run_with_cache(PROMPT, [("pattern", layer)])["pattern", layer][0]
head = int(pattern[:, -1, -2].argmax())
interp.attention_score_parts(model, transcoders, PROMPT, layer=layer, head=head, query=-1, key=-2)

# %% [markdown]
# ## Break it on purpose
#
# ### 1. Keep less

# %%
for share in (0.8, 0.5, 0.3):
    one = interp.attribution_graph(model, transcoders, PROMPT, answer=ANSWER, nodes=share)
    n = int(one.nodes.of_kind("feature").sum())
    print(
        f"nodes with {share:.0%} of the influence: {n} features, {len(one.edges)} edges, replacement score {one.replacement_score:.2f}"
    )

# %% [markdown]
# The score stays as it is: it is of the whole graph. A small graph looks clear because most of it is not shown.
#
# ### 2. A model that does not know

# %%
unknown = interp.attribution_graph(model, transcoders, "The capital of Zorblax is")
said = unknown.nodes.labels[unknown.nodes.kinds.index("logit")]
print(
    f"it says {said!r}; replacement score {unknown.replacement_score:.2f}, correlation with the truth {unknown.node_correlation}"
)

# %% [markdown]
# There is a graph of any answer, a wrong one too, and it looks as good. It tells how an answer came about, not whether it is right.
#
# ## Exercises
#
# On the transcoders of the package, with the defaults of `interp.attribution_graph` (and no answer given).
#
# **11.1** How many errors are left in the graph of "The capital of France is"?

# %%
answer = None
check(answer, "11.1", model)

# %% [markdown]
# **11.2** How many logits of the answer does the model itself lose without the token " France", to one decimal?

# %%
answer = None
check(answer, "11.2", model)

# %% [markdown]
# You have reached the end of the course. The [research notebook](research.ipynb) puts it to use: five papers, replicated.
