"""Decoders of transformers that predict the next token."""

from tests.models.zoo.hugging_face import hugging_face
from tests.models.zoo.sizes import DEPTH, EXPERT_MLP, EXPERTS, GROUPED, HEADS, MLP, WIDTH
from tests.models.zoo.truth import (
    BIAS,
    GAIN,
    HEAD,
    LINEAR,
    LINEAR_IO,
    NORM,
    PLACES,
    RMS_NORM,
    TABLE,
    bias,
    matrix,
)

#: Llama's names, which most later models share.
LLAMA = {"model.embed_tokens.weight": TABLE, "*_proj.weight": LINEAR, **RMS_NORM, "lm_head.weight": HEAD}
LLAMA_TIED = {**LLAMA, "model.embed_tokens.weight": TABLE.tied(HEAD)}
del LLAMA_TIED["lm_head.weight"]

#: Experts side by side in one tensor, as transformers 5 holds them: (experts, out, in).
EXPERTS_OI = {"*.experts.gate_up_proj": matrix("soi"), "*.experts.down_proj": matrix("soi")}
ROUTED = {**EXPERTS_OI, "*.mlp.gate.weight": LINEAR}

GPT2 = {
    "transformer.wte.weight": TABLE.tied(HEAD),
    "transformer.wpe.weight": PLACES,
    "*.ln_*.weight": GAIN,
    "*.ln_*.bias": BIAS,
    "*.weight": LINEAR_IO,
    "*.bias": BIAS,
}
GPT_NEOX = {
    "gpt_neox.embed_in.weight": TABLE,
    "lm_head.weight": HEAD,
    **NORM,
    "*.weight": LINEAR,
    "*.bias": BIAS,
}
GPT_OSS = {
    "*.experts.*_proj": matrix("sio"),  # x @ W
    "*.experts.*_proj_bias": bias("so"),
    "*.sinks": bias(),  # a logit of each head that joins the scores
    "*.router.weight": LINEAR,
    "*.bias": BIAS,
    **LLAMA,
}
LATENT = {
    "q_lora_rank": 24,
    "kv_lora_rank": 20,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 10,
    "v_head_dim": 14,
    "num_key_value_heads": HEADS,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "moe_intermediate_size": EXPERT_MLP,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
}
GRANITE_SCALES = {
    "embedding_multiplier": 12.0,
    "logits_scaling": 6.0,
    "residual_multiplier": 0.22,
    "attention_multiplier": 0.0156,
}
BLOOM = {
    "transformer.word_embeddings.weight": TABLE.tied(HEAD),
    **NORM,
    "*.ln_f.weight": GAIN,
    "*.weight": LINEAR,
    "*.bias": BIAS,
}
OPT = {
    "model.decoder.embed_tokens.weight": TABLE.tied(HEAD),
    "model.decoder.embed_positions.weight": PLACES,
    **NORM,
    "*.weight": LINEAR,
    "*.bias": BIAS,
}

LANGUAGE = (
    hugging_face("gpt2", GPT2, n_embd=WIDTH, n_layer=DEPTH, n_head=HEADS, n_positions=32),
    hugging_face("gpt_neox", GPT_NEOX),
    hugging_face("llama", LLAMA, **GROUPED),
    hugging_face("qwen2", {**LLAMA, "*.bias": BIAS}, **GROUPED),
    hugging_face("qwen3", LLAMA, **GROUPED),
    hugging_face(
        "qwen3_moe",
        {**ROUTED, **LLAMA},
        **GROUPED,
        num_experts=EXPERTS,
        num_experts_per_tok=2,
        moe_intermediate_size=EXPERT_MLP,
    ),
    hugging_face("mixtral", {**ROUTED, **LLAMA}, **GROUPED, num_local_experts=EXPERTS),
    hugging_face("gpt_oss", GPT_OSS, **GROUPED, num_local_experts=EXPERTS),
    hugging_face("deepseek_v2", {**ROUTED, "*_mqa.weight": LINEAR, **LLAMA}, **LATENT),
    hugging_face("deepseek_v3", {**ROUTED, "*_mqa.weight": LINEAR, **LLAMA}, **LATENT),
    hugging_face("gemma2", LLAMA_TIED, **GROUPED),
    hugging_face("gemma3_text", LLAMA_TIED, **GROUPED),
    hugging_face("phi3", LLAMA, num_key_value_heads=2),
    hugging_face("olmo2", LLAMA, num_key_value_heads=2),
    hugging_face("starcoder2", {**LLAMA_TIED, "*.c_*.weight": LINEAR, "*.bias": BIAS}, num_key_value_heads=2),
    hugging_face("cohere", LLAMA_TIED, num_key_value_heads=2, logit_scale=0.25),
    hugging_face(
        "granitemoe",
        {**EXPERTS_OI, "*.router.weight": LINEAR, **LLAMA},
        num_key_value_heads=2,
        num_local_experts=EXPERTS,
        num_experts_per_tok=2,
        **GRANITE_SCALES,
    ),
    hugging_face("bloom", BLOOM, n_head=HEADS, n_layer=DEPTH),
    hugging_face("opt", OPT, ffn_dim=MLP, max_position_embeddings=32, word_embed_proj_dim=WIDTH),
)
