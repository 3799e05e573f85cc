"""The exact patching sweep at close to the cost of its arithmetic.

All cells of a sweep are branches of one base run. A branch equals the base run below the layer of its first
edit and, the model being causal, at every position before it. So it pays only for what it changes:

1. One base run keeps, for each layer, what it read and with which arguments it was called, and its keys,
   values and mask (`base_run`).
2. A branch joins at the layer of its first edit, with the base run's residual stream there. Where its edits
   in that layer act on single rows (an attention or MLP output, a head's z), it brings these rows alone
   (`branch`).
3. In the next layer it carries every position from its first edited one on. Branches with the same rows
   make a group; all groups travel together as one packed batch [1, rows, d_model] through the model's own
   decoder layers, so that a linear layer sees one large product (`packed`).
4. Attention is the one place where rows of a branch meet: there each group gets the base run's keys and
   values, with its own in their places, and the rows of the base run's mask (causal, sliding, biased), and
   goes through the architecture's own eager attention (soft caps, sinks, scales).
5. In the last layer, positions that are not read out only matter as keys and values: the layer is called
   once to get these, and left there, and once more for the positions of each branch that are read
   (`journey`).
6. Only these are unembedded, and only the columns that the readout needs, where it names them (`sweep`).

A branch all of whose edits set what is there already, bit for bit, or that edits only what is not read, is
the base run and costs nothing. The packed batch is cut into chunks that fit the memory
(`interp.models.memory`).

Some branches are compared with plain forward passes before a model's first sweep (`agreement`). What the
base run keeps also lets a single layer be run by itself (`single_layer`).
"""
