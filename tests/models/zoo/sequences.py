"""Encoders, and encoders with a decoder, of transformers: text and speech."""

import torch
from transformers import (
    AutoModelForCTC,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSpeechSeq2Seq,
)

from tests.models.zoo.hugging_face import hugging_face, pair_of_texts
from tests.models.zoo.sizes import BATCH, DEPTH, HEADS, MLP, WIDTH, tokens
from tests.models.zoo.specimen import Inputs
from tests.models.zoo.truth import (
    BIAS,
    GAIN,
    HEAD,
    LINEAR,
    PLACES,
    TABLE,
    UNUSED,
    bias,
    gain,
    kernel,
    matrix,
    rows,
)
from widthwise.vocabulary import Role

TWO_STACKS = {
    "d_model": WIDTH,
    "encoder_layers": DEPTH,
    "decoder_layers": DEPTH,
    "encoder_attention_heads": HEADS,
    "decoder_attention_heads": HEADS,
    "encoder_ffn_dim": MLP,
    "decoder_ffn_dim": MLP,
    "decoder_start_token_id": 1,
}
RELATIVE = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "max_position_embeddings": 32}


def segmented() -> Inputs:
    """Text of two segments, so that the input picks the rows of their table."""
    return {"input_ids": tokens(), "token_type_ids": tokens() % 2}


def spoken() -> Inputs:
    return {"input_features": torch.randn(BATCH, 10, 40), "decoder_input_ids": tokens(5)}


def wave() -> Inputs:
    return {"input_values": torch.randn(BATCH, 400)}


REST = {"*.weight": LINEAR, "*.bias": BIAS}

T5 = {
    "shared.weight": TABLE.tied(HEAD),
    "*.relative_attention_bias.weight": PLACES,  # buckets of distances × heads
    "*layer_norm.weight": GAIN,
    "*.weight": LINEAR,
}
T5_UNTIED = {**T5, "shared.weight": TABLE, "lm_head.weight": HEAD}
BART = {
    "model.shared.weight": TABLE.tied(HEAD),
    "*.embed_positions.weight": PLACES,
    "*layernorm_embedding.weight": GAIN,
    "*layer_norm.weight": GAIN,
    **REST,
}
BERT = {
    "*.word_embeddings.weight": TABLE.tied(HEAD),
    "*.position_embeddings.weight": PLACES,
    "*.token_type_embeddings.weight": TABLE,
    "*LayerNorm.weight": GAIN,
    **REST,
}
ROBERTA = {
    "*.layer_norm.weight": GAIN,
    **BERT,
    "*.position_embeddings.weight": TABLE,  # the input decides: positions are counted over what is not padding
}
DISTILBERT = {
    "*.word_embeddings.weight": TABLE.tied(HEAD),
    "*.position_embeddings.weight": PLACES,
    "*LayerNorm.weight": GAIN,
    "*layer_norm.weight": GAIN,
    **REST,
}
DEBERTA = {
    "*.word_embeddings.weight": TABLE.tied(HEAD),
    "*.position_embeddings.weight": PLACES,
    "*.rel_embeddings.weight": rows("so"),  # what the keys and queries of distances are made of
    "*LayerNorm.weight": GAIN,
    **REST,
}
XLNET = {
    "transformer.word_embedding.weight": TABLE.tied(HEAD),
    "transformer.mask_emb": UNUSED,
    "*.rel_attn.o": matrix("oii"),
    "*.rel_attn.r": matrix("ioo", Role.EMBEDDING),  # reads sines of the positions
    "*.rel_attn.?": matrix("ioo"),
    "*.rel_attn.r_?_bias": bias("oo"),
    "*.rel_attn.seg_embed": matrix("osi"),  # a learned key of each segment and head
    "*.layer_norm.weight": GAIN,
    **REST,
}
WHISPER = {
    "model.encoder.conv1.weight": kernel("oii", Role.EMBEDDING),
    "model.encoder.conv2.weight": kernel("oii"),
    "*.embed_positions.weight": PLACES,
    "model.decoder.embed_tokens.weight": TABLE.tied(HEAD),
    "*layer_norm.weight": GAIN,
    **REST,
}
WAV2VEC2 = {
    "wav2vec2.masked_spec_embed": UNUSED,
    "*.conv_layers.0.conv.weight": kernel("oii", Role.EMBEDDING),
    "*.conv_layers.?.conv.weight": kernel("oii"),
    "*.parametrizations.weight.original0": gain("sso"),  # weight norm of each place of the kernel
    "*.parametrizations.weight.original1": kernel("oii"),
    "lm_head.weight": HEAD,
    "*layer_norm.weight": GAIN,
    **REST,
}

SEQUENCES = (
    hugging_face(
        "t5",
        T5,
        make=AutoModelForSeq2SeqLM.from_config,
        feed=pair_of_texts,
        d_model=WIDTH,
        d_kv=16,
        d_ff=MLP,
        num_layers=DEPTH,
    ),
    hugging_face(
        "bart",
        BART,
        make=AutoModelForSeq2SeqLM.from_config,
        feed=pair_of_texts,
        max_position_embeddings=32,
        **TWO_STACKS,
    ),
    hugging_face("bert", BERT, make=AutoModelForMaskedLM.from_config, feed=segmented),
    hugging_face("roberta", ROBERTA, make=AutoModelForMaskedLM.from_config, feed=segmented, max_position_embeddings=32),
    hugging_face(
        "distilbert",
        DISTILBERT,
        make=AutoModelForMaskedLM.from_config,
        dim=WIDTH,
        n_layers=DEPTH,
        n_heads=HEADS,
        hidden_dim=MLP,
    ),
    hugging_face("deberta", {**DEBERTA, "*.?_bias": BIAS}, make=AutoModelForMaskedLM.from_config, **RELATIVE),
    hugging_face(
        "deberta-v2", DEBERTA, make=AutoModelForMaskedLM.from_config, position_buckets=8, share_att_key=True, **RELATIVE
    ),
    hugging_face("xlnet", XLNET, feed=segmented, d_model=WIDTH, n_layer=DEPTH, n_head=HEADS, d_inner=MLP),
    hugging_face(
        "whisper",
        WHISPER,
        make=AutoModelForSpeechSeq2Seq.from_config,
        feed=spoken,
        max_source_positions=20,
        max_target_positions=12,
        num_mel_bins=10,
        **TWO_STACKS,
    ),
    hugging_face(
        "wav2vec2",
        WAV2VEC2,
        make=AutoModelForCTC.from_config,
        feed=wave,
        conv_dim=(16, 18, 20),
        conv_stride=(5, 2, 2),
        conv_kernel=(10, 3, 2),
        num_feat_extract_layers=3,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=4,
    ),
)
