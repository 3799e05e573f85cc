# %% [markdown]
# # 01 · The logit lens: when does the answer form?
#
# **What you will learn**: what the residual stream is; how to read a prediction off it in the middle of the model;
# when that reading is wrong; and what three other lenses (tuned, Jacobian, patchscope) see in the same place.
#
# ## The residual stream
#
# A transformer keeps one vector for each token: the **residual stream**. It begins as the token's **embedding** (a
# vector that was learned for this token). Then each **layer** reads the stream and *adds* something to it: first its
# **attention** (which brings information over from other tokens), then its **MLP** (a small network that works on one
# token alone). After the last layer, a **norm** and a matrix, the **unembedding**, turn the last token's vector into
# logits.
#
#     stream after layer L  =  stream before it  +  attention of L  +  MLP of L
#
# Since every layer adds to the same vector, one may ask: what would the model say if it had to answer *now*? Take the
# stream after some layer, and send it through the final norm and the unembedding at once. That is the **logit lens**
# (nostalgebraist 2020).

# %%
MODEL = "demo-gpt2"  # or "demo-qwen3", "gemma-3-270m", "gpt2"

# %%
import interp
from interp.course import Expected, check
from interp.methods.lens.sources import lens_names

model = interp.load_model(MODEL)
PROMPT, ANSWER = "Water is made of hydrogen and", " oxygen"

# %% [markdown]
# **Predict first.** This model has some layers, counted from 0. From which layer on is `" oxygen"` the likeliest token?
# And how likely is it at the end?

# %%
print("layers:", model.arch.n_layers)
prediction_of_layer = None  # a layer's number; -1 is the embedding
prediction_of_probability = None  # between 0 and 1

# %%
lens = interp.logit_lens(model, PROMPT, ANSWER)
expected = Expected(model)
expected.row(
    "layer from which on it is on top", prediction_of_layer, lens.crossover_layer, published="10 of 12"
)
expected.row("its final probability", prediction_of_probability, lens.answer_prob[-1], published="about 0.48")

# %% [markdown]
# This is what was read at each layer. A result shows itself when it is the last thing in a cell.

# %%
lens

# %% [markdown]
# - **would say**: the likeliest token, if the model had to stop there.
# - **rank**: the answer's place among all tokens. 1 is the top.
# - **entropy**: how undecided the reading is, in nats. 0 means certain.
# - **KL**: how far the reading is from the model's final prediction, in nats. 0 means the same.
#
# ## By hand
#
# Nothing is hidden in this. Keep the stream after a layer, and unembed it:

# %%
middle = model.arch.n_layers // 2
cache = model.run_with_cache(PROMPT, ["resid_post"])
stream = cache["resid_post", middle][0, -1]  # the vector of the last token after that layer
by_hand = model.unembed(stream).softmax(-1)[model.to_single_token(ANSWER)].item()
print(f"after layer {middle}: {by_hand:.6f} by hand, {lens.answer_prob[middle + 1]:.6f} from the library")

# %% [markdown]
# (The library's first row is the embedding, so that layer L is row L + 1.)
#
# ## At every position
#
# The lens can be read at each token of the prompt. Each column says what the model would say *after* that token.

# %%
everywhere = interp.logit_lens(model, PROMPT, ANSWER, position="all")
everywhere.figure()

# %% [markdown]
# ## Other lenses
#
# The logit lens assumes that the middle of the model speaks the same language as its end: that a direction which
# means "oxygen" at the end means it in the middle, too. Early layers have no reason to do so. So a low reading says
# "not here *in the final language*", and not "not here". Three other lenses translate first:
#
# - **tuned** (Belrose et al. 2023): a matrix for each layer, trained so that the reading is near the final prediction.
#   It answers: what *can be predicted* from here?
# - **Jacobian** (Gurnee et al. 2026): the mean effect of a small change here on the last layer. Nothing is trained.
#   It answers: what does this state *make the model say later*?
# - **patchscope** (Ghandeharioun et al. 2024): put the state into another, neutral prompt, and let the model's own
#   layers go on. It answers: what can *the model itself* make of it?
#
# The first two must be fitted for each model. The demo models come with both; for others they are made in minutes
# (`interp.train_tuned_lens`, `interp.fit_jacobian_lens`).

# %%
names = lens_names(model)
names

# %% [markdown]
# **Predict**: by which of these lenses is the answer on top earliest?

# %%
prediction = None  # such as "tuned"

# %%
several = interp.lenses_on_prompt(model, PROMPT, ANSWER, lenses=names)
layers = dict(zip(names, several.crossover_layers, strict=True))
known = {name: layer for name, layer in layers.items() if layer is not None}
earliest = ", ".join(name for name, layer in known.items() if layer == min(known.values()))
print(layers)
expected.row("lenses by which it is on top earliest", prediction, earliest)

# %%
several

# %% [markdown]
# **What was seen.** All lenses agree at the end, since there they are the model itself. Before it they differ. None need
# be wrong: they answer different questions. How good each is on held-out text is kept with it:

# %%
for reading in several.readings:
    if reading.lens_card is not None:
        card = reading.lens_card
        print(f"{reading.lens:9} KL by layer, nats: {[round(x, 1) for x in card.kl.tolist()]}")
        print(f"{'logit':9} KL by layer, nats: {[round(x, 1) for x in card.logit_kl.tolist()]}")

# %% [markdown]
# **When this number misleads.** A tuned lens is *trained* to say the answer early. It may find something in the stream that
# the model itself never uses there. That an answer can be read is not that it is used: for that, something must be
# *changed*, which is the next lesson.
#
# ## Break it on purpose
#
# ### 1. Read where nothing has happened yet

# %%
words = interp.logit_lens(model, PROMPT, ANSWER, position="all")
for position, token in enumerate(words.tokens):
    print(f"{token!r:16} read at the embedding: {words.top_tokens[0][position][0]!r}")

# %% [markdown]
# Where the unembedding is the transpose of the embedding (as in GPT-2, Gemma and the demo models), the lens at the
# embedding says the token itself, with certainty. It is not a prediction. It is the vocabulary, read backwards.
#
# ### 2. Ask for an answer that is wrong

# %%
wrong = interp.logit_lens(model, PROMPT, " helium")
print("crossover layer of ' helium':", wrong.crossover_layer, "| rank by layer:", wrong.answer_rank.tolist())

# %% [markdown]
# `None` means that it is not on top at the end. Its rank may get better on the way all the same: words of the right
# kind come up together, and then the right one of them.
#
# ### 3. Read the parts instead of the sum

# %%
for site in ("attn_out", "mlp_out"):
    part = interp.logit_lens(model, PROMPT, ANSWER, site=site)
    print(f"{site:8} would say by layer:", [top[0] for top in part.top_tokens])

# %% [markdown]
# What one layer adds, read alone, is mostly not the answer, though the sum is. In `demo-gpt2` two MLPs say it by
# themselves, and attention never does. That does not make attention useless: it may do its work by what it makes
# *others* add.
#
# ### 4. Take a prompt in which the answer is not known

# %%
unsure = interp.logit_lens(model, "The lamp that stood behind the door was", k=3)
print(
    "the model's own answer:",
    repr(unsure.answer),
    f"with {unsure.final_top_prob:.3f}, from layer",
    unsure.crossover_layer,
)

# %% [markdown]
# Without an `answer` the lens follows what the model says itself. There is always something that it says: a crossover
# layer is not a sign of knowledge.
#
# ## Exercises
#
# **01.1** What is the rank of `" oxygen"` after layer 0? (The second row of the table.)

# %%
answer = None
check(answer, "01.1", model)

# %% [markdown]
# **01.2** For "The Eiffel Tower is in the city of": from which layer on is `" Paris"` on top, by the logit lens? (Where it is
# never on top at the end, answer -2.)

# %%
answer = None
check(answer, "01.2", model)

# %% [markdown]
# **01.3** Read `PROMPT` with the patchscope. How likely is `" oxygen"` after layer `model.arch.n_layers // 2 - 1`, to two
# decimals?

# %%
answer = None
check(answer, "01.3", model)

# %% [markdown]
# **Next**: [02 · Activation patching](02_activation_patching.ipynb). To read is not to change.
