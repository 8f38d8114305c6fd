"""Models of transformers that see: classifiers, detectors, pairs of text and picture."""

from typing import Any

from transformers import (
    AutoModel,
    AutoModelForImageClassification,
    AutoModelForImageTextToText,
    AutoModelForMaskedLM,
    AutoModelForObjectDetection,
    MllamaForCausalLM,
)

from tests.models.zoo.hugging_face import hugging_face
from tests.models.zoo.language import LLAMA
from tests.models.zoo.sequences import REST, TWO_STACKS
from tests.models.zoo.sizes import CLASSES, COMMON, PATCH, PICTURE, WIDTH, picture, tokens
from tests.models.zoo.specimen import Inputs
from tests.models.zoo.truth import (
    BIAS,
    DEPTHWISE_2D,
    FIRST,
    GAIN,
    HEAD,
    LINEAR,
    NORM,
    PATCHES,
    PLACES,
    TABLE,
    TEMPERATURE,
    UNUSED,
    Truth,
    bias,
    gain,
    kernel,
    matrix,
    positions,
    rows,
    token,
)
from widthwise.reading.parameter import ParameterUse
from widthwise.vocabulary import Role

SQUARE = {"image_size": PICTURE, "patch_size": PATCH}
PYRAMID = {"hidden_sizes": [16, 24, 32, 40], "depths": [1, 2, 1, 1]}
#: What two towers are compared by: the model's output, of a size that is a choice.
COMPARED = matrix(role=None)


def seen() -> Inputs:
    return {"pixel_values": picture()}


def seen_large() -> Inputs:
    return {"pixel_values": picture(64)}


def seen_and_read() -> Inputs:
    return {"pixel_values": picture(), "input_ids": tokens()}


def seen_in_text() -> Inputs:
    """A text in which sixteen tokens stand for the picture's patches."""
    ids = tokens(20)
    ids[:, 1:17] = 96
    return {"pixel_values": picture(), "input_ids": ids}


def text_of_sixteen() -> Inputs:
    return {"inputs": tokens(16)}


def crossed() -> Inputs:
    return {"input_ids": tokens(), "cross_attention_states": picture(WIDTH, 1)[:, 0, :7]}


VIT = {
    "*.cls_token": token("sso"),
    "*.position_embeddings": positions("sso"),
    "*.patch_embeddings.projection.weight": PATCHES,
    **NORM,
    "classifier.weight": HEAD,
    **REST,
}
DINOV2 = {"*.mask_token": UNUSED, "*.lambda1": GAIN, **VIT}
TOWER = {
    "*.class_embedding": token("o"),
    "*.patch_embedding.weight": PATCHES,
    "*.position_embedding.weight": PLACES,
    "*norm*.weight": GAIN,
}
CLIP = {
    "logit_scale": TEMPERATURE,
    "text_model.embeddings.token_embedding.weight": TABLE,
    **TOWER,
    "*_projection.weight": COMPARED,
    **REST,
}
SIGLIP = {
    "logit_scale": Truth(ParameterUse.GAIN, Role.SCALAR, "o"),
    "logit_bias": Truth(ParameterUse.BIAS, Role.SCALAR, "o"),
    "text_model.embeddings.token_embedding.weight": TABLE,
    "*.patch_embedding.weight": PATCHES,
    "*.position_embedding.weight": PLACES,
    "*norm*.weight": GAIN,
    "*.probe": token("sso"),
    "text_model.head.weight": COMPARED,
    "*.in_proj_weight": LINEAR,
    "*.in_proj_bias": BIAS,
    **REST,
}
LLAVA = {
    "model.vision_tower.post_layernorm.*": UNUSED,  # features are taken before it
    "*.vision_tower.*_proj.weight": LINEAR,
    **TOWER,
    "*.embed_tokens.weight": TABLE,
    "lm_head.weight": HEAD,
    **REST,
}
CONVNEXT = {
    "*.dwconv.weight": DEPTHWISE_2D,
    "*.embeddings.patch_embeddings.weight": PATCHES,
    "*.downsampling_layer.1.weight": kernel(),
    "*.downsampling_layer.0.weight": GAIN,
    "*norm*.weight": GAIN,
    "*.grn.weight": gain("ssso"),
    "*.grn.bias": bias("ssso"),
    "classifier.weight": HEAD,
    **REST,
}
SEGFORMER = {
    "*.dwconv.dwconv.weight": DEPTHWISE_2D,
    "*.stages.0.patch_embeddings.proj.weight": PATCHES,
    "*.patch_embeddings.proj.weight": kernel(),
    "*.sequence_reduction.sequence_reduction.weight": kernel(),
    "*norm*.weight": GAIN,
    "classifier.weight": HEAD,
    **REST,
}
RESNET = {
    "resnet.embedder.*.convolution.weight": PATCHES,
    "*.convolution.weight": kernel(),
    "*.normalization.weight": GAIN,
    "classifier.1.weight": HEAD,
    "*.bias": BIAS,
}
DETR = {
    "*.embedder.convolution.weight": PATCHES,
    "*.convolution.weight": kernel(),
    "*.query_position_embeddings.weight": rows("so"),
    "model.input_projection.weight": kernel(),
    "*norm*.weight": GAIN,
    "class_labels_classifier.weight": HEAD,
    "bbox_predictor.layers.2.weight": HEAD,
    **REST,
}
PERCEIVER = {
    "perceiver.input_preprocessor.embeddings.weight": TABLE.tied(HEAD),
    "*.position_embeddings.weight": PLACES,
    "*.embeddings.latents": token("so"),
    "*.output_position_encodings.position_embeddings": rows("so"),
    "*norm*.weight": GAIN,
    **REST,
}
MLLAMA = {
    "*_gate": Truth(ParameterUse.GAIN, Role.SCALAR, "o"),
    "*.cross_attn.k_proj.weight": FIRST,  # reads the picture's features
    "*.cross_attn.v_proj.weight": FIRST,
    **LLAMA,
}

TOWERS: dict[str, Any] = {
    "text_config": {**COMMON, "max_position_embeddings": 16, "projection_dim": 24, "projection_size": WIDTH},
    "vision_config": {**COMMON, **SQUARE, "projection_dim": 24},
}
SMALL_RESNET = {
    "model_type": "resnet",
    "embedding_size": 12,
    **PYRAMID,
    "layer_type": "basic",
    "out_features": ["stage4"],
}

VISION = (
    hugging_face("vit", VIT, make=AutoModelForImageClassification.from_config, feed=seen, num_labels=CLASSES, **SQUARE),
    hugging_face(
        "dinov2", DINOV2, make=AutoModelForImageClassification.from_config, feed=seen, num_labels=CLASSES, **SQUARE
    ),
    hugging_face(
        "convnextv2",
        CONVNEXT,
        make=AutoModelForImageClassification.from_config,
        feed=seen_large,
        num_labels=CLASSES,
        common={},
        **PYRAMID,
    ),
    hugging_face(
        "segformer",
        SEGFORMER,
        make=AutoModelForImageClassification.from_config,
        feed=seen_large,
        num_labels=CLASSES,
        common={},
        num_attention_heads=[1, 2, 4, 4],
        **PYRAMID,
    ),
    hugging_face(
        "resnet",
        RESNET,
        make=AutoModelForImageClassification.from_config,
        feed=seen_large,
        num_labels=CLASSES,
        common={},
        embedding_size=12,
        **PYRAMID,
    ),
    hugging_face("clip", CLIP, make=AutoModel.from_config, feed=seen_and_read, projection_dim=24, **TOWERS),
    hugging_face("siglip", SIGLIP, make=AutoModel.from_config, feed=seen_and_read, **TOWERS),
    hugging_face(
        "llava",
        LLAVA,
        make=AutoModelForImageTextToText.from_config,
        feed=seen_in_text,
        text_config={"model_type": "llama", **COMMON},
        vision_config={"model_type": "clip_vision_model", **COMMON, **SQUARE},
        image_token_id=96,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    ),
    hugging_face(
        "detr",
        DETR,
        make=AutoModelForObjectDetection.from_config,
        feed=seen_large,
        num_queries=5,
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        backbone_config=SMALL_RESNET,
        num_labels=CLASSES,
        **TWO_STACKS,
    ),
    hugging_face(
        "perceiver",
        PERCEIVER,
        make=AutoModelForMaskedLM.from_config,
        feed=text_of_sixteen,
        d_model=WIDTH,
        d_latents=40,
        num_latents=7,
        num_blocks=1,
        num_self_attends_per_block=2,
        num_self_attention_heads=4,
        num_cross_attention_heads=4,
        qk_channels=32,
        v_channels=40,
        max_position_embeddings=16,
    ),
    hugging_face(
        "mllama_text_model",
        MLLAMA,
        make=MllamaForCausalLM._from_config,
        feed=crossed,
        num_hidden_layers=3,
        cross_attention_layers=[1],
        rope_parameters={"rope_type": "default", "rope_theta": 1e4},
        num_key_value_heads=2,
    ),
)
