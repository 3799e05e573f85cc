"""A model on somebody else's machine, through nnsight and NDIF (https://ndif.us): only its configuration and
its tokenizer are here.

- `program`: what runs there, one function that needs nothing of this library.
- `passes`: what it is told, as plain values: which activations to read and how to edit them.
- `service`: where it runs: requests, the key, the queue, and what goes wrong, in sentences.
- `model`: the `interp.Model`.
"""
