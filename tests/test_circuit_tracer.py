"""Attribution graphs beside those of circuit-tracer itself, on the demo models and the package's transcoders.

    make test-circuit-tracer

circuit-tracer pins older releases of transformers and huggingface_hub, so it is installed beside the
environment and without what it asks for.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import interp
from hooked_toys import needs_hooked_transformers
from interp.methods.attribution.frozen_readout import frozen_sum
from interp.methods.graphs.direct_effects import direct_effects
from interp.methods.graphs.influence import WholeGraph
from interp.methods.graphs.local_model import LocalModel
from interp.methods.graphs.nodes import GraphNode, Read, activation, feature_reads, source_nodes
from interp.saes.activations import JumpReLU
from interp.saes.cross_layer import CrossLayerTranscoder
from interp.saes.transcoder import Transcoders

pytestmark = [pytest.mark.circuit_tracer, pytest.mark.slow]

PROMPT = "The capital of France is"
N_LOGITS = 3
ROUNDING = 5e-6  # of the largest edge: circuit-tracer computes in float32


@pytest.fixture(scope="module", autouse=True)
def circuit_tracer():
    import huggingface_hub.constants as constants

    if not hasattr(constants, "HF_HUB_ENABLE_HF_TRANSFER"):
        constants.HF_HUB_ENABLE_HF_TRANSFER = False  # of releases before 1.0; nothing is fetched here
    needs_hooked_transformers()
    return pytest.importorskip(
        "circuit_tracer", reason="circuit-tracer is not installed; run make test-circuit-tracer"
    )


def hooked(model: interp.Model):
    """The configuration and the weights of a demo model as a HookedTransformer has them."""
    from transformer_lens import HookedTransformerConfig
    from transformer_lens.pretrained.weight_conversions import gpt2, qwen3

    hf, arch = model.hf_model, model.arch
    shared = {
        "n_layers": arch.n_layers, "n_heads": arch.n_heads, "d_model": arch.d_model, "d_head": arch.d_head,
        "d_vocab": hf.config.vocab_size, "n_ctx": 128, "dtype": torch.float32, "device": "cpu",
        "model_name": model.identity.name, "original_architecture": type(hf).__name__,
    }  # fmt: skip
    if model.identity.name == "demo-gpt2":
        cfg = HookedTransformerConfig(
            **shared, act_fn="gelu_new", normalization_type="LN", eps=hf.config.layer_norm_epsilon,
            d_mlp=4 * arch.d_model,
        )  # fmt: skip
        return cfg, gpt2.convert_gpt2_weights(hf, cfg)
    cfg = HookedTransformerConfig(
        **shared, act_fn="silu", normalization_type="RMS", eps=hf.config.rms_norm_eps, gated_mlp=True,
        final_rms=True, d_mlp=hf.config.intermediate_size, n_key_value_heads=arch.n_kv_heads,
        use_qk_norm=True, positional_embedding_type="rotary", rotary_dim=arch.d_head,
        rotary_base=int(hf.config.rope_parameters["rope_theta"]), rotary_adjacent_pairs=False,
    )  # fmt: skip
    return cfg, qwen3.convert_qwen3_weights(hf, cfg)


#: What its transcoders read and write; with the gains of norms folded into what follows, what ours do.
HOOKS = {"feature_input_hook": "mlp.hook_in", "feature_output_hook": "mlp.hook_out"}


def their_transcoders(transcoders: Transcoders, folder: Path):
    """The same as circuit-tracer's own; a cross-layer transcoder by way of a file in `folder`."""
    from circuit_tracer.transcoder.activation_functions import JumpReLU as TheirJumpReLU
    from circuit_tracer.transcoder.cross_layer_transcoder import load_clt
    from circuit_tracer.transcoder.single_layer_transcoder import SingleLayerTranscoder, TranscoderSet

    if isinstance(transcoders, CrossLayerTranscoder):
        interp.write_transcoders(folder, transcoders.to(torch.float32))
        options = {"device": torch.device("cpu"), "dtype": torch.float32, "lazy_decoder": False}
        return load_clt(str(folder), **HOOKS, **options)
    theirs = {}
    for layer, one in enumerate(transcoders):
        assert isinstance(one.activation, JumpReLU)
        theirs[layer] = SingleLayerTranscoder(
            d_model=one.d_in,
            d_transcoder=one.n_features,
            activation_function=TheirJumpReLU(one.activation.threshold.float()),
            layer_idx=layer,
            skip_connection=one.W_skip is not None,
            device=torch.device("cpu"),
            dtype=torch.float32,
        )
        weights = {"W_enc": one.W_enc.T, "W_dec": one.W_dec, "b_enc": one.b_enc, "b_dec": one.b_dec}
        if one.W_skip is not None:
            weights["W_skip"] = one.W_skip.T
        with torch.no_grad():
            for name, value in weights.items():
                getattr(theirs[layer], name).copy_(value.float())
    return TranscoderSet(theirs, **HOOKS)


def replacement_model(model: interp.Model, theirs):
    """circuit-tracer's replacement model."""
    from circuit_tracer.replacement_model.replacement_model_transformerlens import (
        TransformerLensReplacementModel,
    )

    cfg, state = hooked(model)
    made = TransformerLensReplacementModel(cfg, tokenizer=model.tokenizer)
    made.load_and_process_state_dict(
        {name: value.detach().clone().float() for name, value in state.items()},
        fold_ln=True,
        center_writing_weights=False,
        center_unembed=False,
        fold_value_biases=False,
    )
    made._configure_replacement_model(theirs)
    return made


def our_graph(model, transcoders, ids) -> tuple[list[GraphNode], list[int], WholeGraph]:
    """All nodes, the tokens of the likeliest logits, and the direct effects."""
    local = LocalModel.of(model, transcoders, ids)
    sources = source_nodes(local)
    features = [number for number, node in enumerate(sources) if node.kind == "feature"]
    probabilities, chosen = local.logits.softmax(-1).topk(N_LOGITS)
    reads = feature_reads(local, [sources[number] for number in features])
    for token in chosen.tolist():
        readout = frozen_sum(model, local.last[-1], local.logits, {token: 1.0}, centred=1.0)
        reads.append(Read("last", 0, local.n_pos - 1, readout.direction, readout.constant))
    found = direct_effects(local, sources, reads).effects
    between = torch.zeros(len(sources), len(sources), dtype=torch.float64)
    between[features] = found[: len(features)]
    graph = WholeGraph(
        between=between,
        on_logits=found[len(features) :],
        probabilities=probabilities,
        activations=torch.tensor([activation(local, node) for node in sources], dtype=torch.float64),
        is_token=torch.tensor([node.kind == "token" for node in sources]),
        is_error=torch.tensor([node.kind == "error" for node in sources]),
    )
    return sources, chosen.tolist(), graph


def places(graph, sources: list[GraphNode], n_layers: int, n_pos: int) -> list[int]:
    """Where each of our nodes stands in circuit-tracer's matrix: features, then errors, then tokens."""
    n = len(graph.active_features)
    of_feature = {tuple(place): number for number, place in enumerate(graph.active_features.tolist())}
    found = []
    for node in sources:
        if node.kind == "feature":
            found.append(of_feature[node.layer, node.position, node.index])
        else:
            row = n_layers if node.kind == "token" else node.layer
            found.append(n + row * n_pos + node.position)
    assert n == sum(node.kind == "feature" for node in sources), "the same features are active"
    return found


def writing_above(transcoders: Transcoders) -> CrossLayerTranscoder:
    """Transcoders whose features also write drawn directions, a fifth as long as their own, above."""
    draw, n = torch.Generator().manual_seed(0), len(transcoders)
    above = []
    for layer, one in enumerate(transcoders.layers[:-1]):
        drawn = torch.randn(one.n_features, n - 1 - layer, one.d_in, generator=draw)
        above.append(0.2 * torch.nn.functional.normalize(drawn, dim=-1))
    return CrossLayerTranscoder(transcoders.layers, tuple(above))


@pytest.mark.parametrize(
    ("name", "cross_layer"), [("demo-gpt2", False), ("demo-qwen3", False), ("demo-gpt2", True)]
)
def test_the_graph_is_that_of_circuit_tracer(load, tmp_path, name, cross_layer):
    from circuit_tracer.attribution.attribute import attribute
    from circuit_tracer.graph import compute_graph_scores, compute_node_influence

    model = load(name)
    transcoders = interp.load_transcoders(name, model)
    if cross_layer:
        transcoders = writing_above(transcoders)
    ids = model.to_tokens(PROMPT).row(0)
    ids = ids if ids[0] == 0 else [0, *ids]  # circuit-tracer's prompts begin with a special token
    sources, tokens, ours = our_graph(model, transcoders, ids)

    replaced = replacement_model(model, their_transcoders(transcoders, tmp_path))
    graph = attribute(
        torch.tensor(ids), replaced, max_n_logits=N_LOGITS, desired_logit_prob=1.0, batch_size=64
    )
    assert graph.logit_token_ids.tolist() == tokens
    torch.testing.assert_close(graph.logit_probabilities.double(), ours.probabilities, rtol=1e-3, atol=1e-6)
    at = places(graph, sources, model.arch.n_layers, len(ids))
    theirs = graph.adjacency_matrix.double()
    between, on_logits = theirs[at][:, at], theirs[-N_LOGITS:][:, at]

    # what circuit-tracer leaves out: errors of the first token, and position embeddings beside tokens
    same = torch.tensor([node.kind != "error" or node.position > 0 for node in sources])
    if name == "demo-gpt2":
        same &= ~ours.is_token
    for edges, theirs_alike in ((ours.between, between), (ours.on_logits, on_logits)):
        size = edges.abs().max()
        torch.testing.assert_close(theirs_alike[:, same] / size, edges[:, same] / size, rtol=0, atol=ROUNDING)
    assert ours.between[:, same].count_nonzero() > 20_000

    # influence and replacement score of one and the same matrix
    alike = replace(ours, between=between, on_logits=on_logits)
    weights = torch.zeros(len(theirs), dtype=torch.float64)
    weights[-N_LOGITS:] = graph.logit_probabilities.double()
    influence = compute_node_influence(theirs, weights)[at]
    torch.testing.assert_close(alike.influence(), influence, rtol=1e-5, atol=1e-7)
    replacement, completeness = compute_graph_scores(graph)
    assert alike.replacement_score() == pytest.approx(replacement, abs=1e-5)
    # circuit-tracer counts tokens and errors, which read nothing, as complete; ours are features and logits
    idle = influence[~ours.is_feature].sum()
    busy = influence.sum() + weights.sum() - idle
    assert float((alike.completeness_score() * busy + idle) / (busy + idle)) == pytest.approx(
        completeness, abs=1e-5
    )
    off = (ours.between - between)[:, same].abs().max() / ours.between.abs().max()
    both = torch.stack([ours.influence(), influence])
    print(
        f"{name}{', cross-layer' if cross_layer else ''}: edges {float(off):.1g} of the largest apart at "
        f"most; influence {float((both[0] - both[1]).abs().max()):.3f}, with a correlation of "
        f"{float(torch.corrcoef(both)[0, 1]):.4f}; replacement score {ours.replacement_score():.3f} and "
        f"{replacement:.3f}, completeness {ours.completeness_score():.3f} and {completeness:.3f}"
    )


def test_it_reads_the_cross_layer_transcoders_that_are_written_here(load, tmp_path):
    """Features and outputs of its own CrossLayerTranscoder."""
    from circuit_tracer.transcoder.cross_layer_transcoder import load_clt

    from test_cross_layer import random_cross_layer

    model = load("tiny-gpt2")
    ours = random_cross_layer(model, lambda n: JumpReLU(torch.linspace(0, 1, n)))
    interp.write_transcoders(tmp_path, ours)
    options = {"device": torch.device("cpu"), "dtype": torch.float32, "lazy_decoder": False}
    theirs = load_clt(str(tmp_path), **options)
    x = torch.randn(len(ours), 7, model.arch.d_model, generator=torch.Generator().manual_seed(0))
    features = [one.encode(own) for one, own in zip(ours, x, strict=True)]
    normed = torch.stack([one.norm(own) for one, own in zip(ours, x, strict=True)])
    with torch.no_grad():
        torch.testing.assert_close(theirs.encode(normed), torch.stack(features), atol=1e-5, rtol=1e-5)
        for layer, out in enumerate(theirs(normed)):
            torch.testing.assert_close(ours.written(layer, features, x[layer]), out, atol=1e-5, rtol=1e-5)
