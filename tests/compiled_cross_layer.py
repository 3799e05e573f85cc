"""A transformer compiled by hand in which one step is taken by two MLPs at once, and the cross-layer
transcoder that has it as one feature.

As `compiled_two_steps`, but layers 1 and 2 both read a in ``seen`` and write b(a) into ``bridge``, and layer
3 reads ``bridge`` and writes c(b(a)) into ``output``. Transcoders of one layer each have two features for a;
in the cross-layer transcoder the feature of layer 1 writes to both MLPs, and layer 2 has none.
"""

from __future__ import annotations

from dataclasses import replace

import torch

import interp
from compiled_two_steps import LOGIT, A, B, answer_of, bridge_of
from interp.saes.activations import Standard
from interp.saes.cross_layer import CrossLayerTranscoder
from interp.saes.dictionary import model_facts
from interp.saes.transcoder import Transcoder, Transcoders, mlp_norm
from planting import Plant

FIRST, SECOND, LAST = 1, 2, 3


def cross_layer_model() -> interp.Model:
    """The model; the norms do nothing (`planting`)."""
    spaces = ("token", "seen", "bridge", "output")
    plant = Plant("gpt2", vocab=32, n_layers=4, n_ctx=64, width=256, spaces=spaces)
    head = plant.head((0, 2))
    head.looks_back(1)
    head.copies("token", "seen")
    for neuron, a in enumerate(A):
        for layer in (FIRST, SECOND):
            plant.mlp_in[layer, :, neuron] = plant.read("seen", [a])[:, 0]
            plant.mlp_out[layer, neuron] = plant.read("bridge", [bridge_of(a)])[:, 0]
    for neuron, b in enumerate(B):
        plant.mlp_in[LAST, :, neuron] = plant.read("bridge", [b])[:, 0]
        plant.mlp_out[LAST, neuron] = LOGIT * plant.read("output", [answer_of(b)])[:, 0]
    return interp.load_model(plant.grow("relu"), device="cpu", name="one step by two", self_check=False)


def own_neurons(model: interp.Model) -> Transcoders:
    """Transcoders whose features are the neurons of each MLP."""
    layers = []
    for layer, block in enumerate(model.hf_model.transformer.h):
        gain = block.ln_2.weight.detach()
        layers.append(
            Transcoder(
                W_enc=gain[:, None] * block.mlp.c_fc.weight.detach(),
                b_enc=block.mlp.c_fc.bias.detach(),
                W_dec=block.mlp.c_proj.weight.detach(),
                b_dec=block.mlp.c_proj.bias.detach(),
                activation=Standard(),
                norm=mlp_norm(model, layer).norm,
                layer=layer,
                **model_facts(model),
            )
        )
    return Transcoders(tuple(layers))


def shared_features(model: interp.Model) -> CrossLayerTranscoder:
    """The same with the neurons of the second MLP as part of the features of the first."""
    layers = list(own_neurons(model))
    above = [torch.zeros(len(one.W_dec), LAST - layer, one.d_in) for layer, one in enumerate(layers[:-1])]
    above[FIRST][:, 0] = layers[SECOND].W_dec
    silent = {name: torch.zeros_like(getattr(layers[SECOND], name)) for name in ("W_enc", "b_enc", "W_dec")}
    layers[SECOND] = replace(layers[SECOND], **silent)
    return CrossLayerTranscoder(tuple(layers), tuple(above))
