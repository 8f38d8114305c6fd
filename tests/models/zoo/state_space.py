"""Recurrent decoders of transformers: state spaces, RWKV, and hybrids with attention."""

from tests.models.zoo.hugging_face import hugging_face
from tests.models.zoo.language import EXPERTS_OI, LLAMA
from tests.models.zoo.sizes import DEPTH, EXPERTS, GROUPED
from tests.models.zoo.truth import BIAS, DEPTHWISE, GAIN, HEAD, LINEAR, RMS_NORM, TABLE, gain

STATE = {"state_size": 8, "conv_kernel": 4}
STATE_VECTORS = {
    "*.A_log": gain("oo"),  # of each channel and state, in the exponent of what multiplies the state
    "*.D": GAIN,
    "*.conv1d.weight": DEPTHWISE,
    "*.conv1d.bias": BIAS,
}
MAMBA = {
    "backbone.embeddings.weight": TABLE.tied(HEAD),
    **STATE_VECTORS,
    **RMS_NORM,
    "*_proj.weight": LINEAR,
    "*.dt_proj.bias": BIAS,
}
MAMBA2 = {
    "backbone.embeddings.weight": TABLE,
    "lm_head.weight": HEAD,
    **STATE_VECTORS,
    "*.A_log": GAIN,  # one a head
    "*.dt_bias": BIAS,
    **RMS_NORM,
    "*_proj.weight": LINEAR,
}
RWKV = {
    "rwkv.embeddings.weight": TABLE,
    "head.weight": HEAD,
    "*.time_decay": BIAS,  # added to the exponent of the state's running maximum
    "*.time_first": BIAS,  # added to the key
    "*.time_mix_*": gain("sso"),
    "*ln*.weight": GAIN,
    "*ln*.bias": BIAS,
    "*.weight": LINEAR,
}
JAMBA = {**EXPERTS_OI, **STATE_VECTORS, "*.dt_proj.bias": BIAS, "*.router.weight": LINEAR, **LLAMA}

STATE_SPACE = (
    hugging_face("mamba", MAMBA, **STATE, time_step_rank=6),
    hugging_face("falcon_mamba", MAMBA, **STATE, time_step_rank=6),
    hugging_face("mamba2", MAMBA2, **STATE, expand=2, num_heads=6, head_dim=16, n_groups=2, chunk_size=4),
    hugging_face("rwkv", RWKV, attention_hidden_size=56, context_length=16),
    hugging_face(
        "jamba",
        JAMBA,
        **GROUPED,
        num_hidden_layers=2 * DEPTH,
        attn_layer_period=2,
        attn_layer_offset=1,
        expert_layer_period=2,
        expert_layer_offset=1,
        num_experts=EXPERTS,
        mamba_d_state=8,
        mamba_dt_rank=6,
    ),
)
