"""Models of timm."""

from typing import Any

import torch
from torch import nn

from tests.models.zoo.sizes import CLASSES, picture
from tests.models.zoo.specimen import Inputs, Specimen
from tests.models.zoo.torchvision import pretended
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
    Truths,
    gain,
    kernel,
    positions,
    token,
)
from widthwise.vocabulary import Role

with pretended():
    import timm

CONV = kernel()


def image_model(name: str, truths: Truths, size: int = 32, **sizes: Any) -> Specimen:
    def build() -> tuple[nn.Module, Inputs]:
        torch.manual_seed(0)
        return timm.create_model(name, pretrained=False, num_classes=CLASSES, **sizes), (picture(size),)

    return Specimen(f"timm {name}", build, truths)


BATCH_NORMED = {"*bn*.weight": GAIN, "*bn*.bias": BIAS}
RESNET = {
    "conv1.weight": PATCHES,
    **BATCH_NORMED,
    "*.downsample.0.weight": CONV,
    "*.downsample.1.weight": GAIN,
    "*.conv?.weight": CONV,
    "fc.weight": HEAD,
    "*.bias": BIAS,
}
CONVNEXT = {
    "stem.0.weight": PATCHES,
    "stem.1.weight": GAIN,
    "*.gamma": GAIN,
    "*.conv_dw.weight": DEPTHWISE_2D,
    **NORM,
    "*.mlp.fc?.weight": CONV,  # 1 × 1
    "*.downsample.0.weight": GAIN,
    "*.downsample.1.weight": CONV,
    "head.fc.weight": HEAD,
    "*.bias": BIAS,
}
EFFICIENTNET = {
    "conv_stem.weight": PATCHES,
    **BATCH_NORMED,
    "*.conv_dw.weight": DEPTHWISE_2D,
    "classifier.weight": HEAD,
    "*.weight": CONV,  # the gates of squeeze and excitation among them
    "*.bias": BIAS,
}
MOBILENET = {"conv_head.weight": CONV, **EFFICIENTNET}
REGNET = {
    "stem.conv.weight": PATCHES,
    **BATCH_NORMED,
    "*.conv.weight": CONV,
    "*.se.fc?.weight": CONV,
    "head.fc.weight": HEAD,
    "*.bias": BIAS,
}
NORMALIZER_FREE = {
    "stem.conv.weight": PATCHES,
    "head.fc.weight": HEAD,
    "*.weight": CONV,
    "*.gain": gain("osss"),  # of the standardized weight
    "*.bias": BIAS,
}
GROUP_NORMED = {
    "stem.conv1.weight": PATCHES,
    **NORM,
    "*.conv?.weight": CONV,
    "*.downsample.conv.weight": CONV,
    "head.fc.weight": kernel(role=Role.READOUT),  # 1 × 1
    "head.fc.bias": BIAS,
}
DENSENET = {
    "features.conv0.weight": PATCHES,
    **NORM,
    "*.conv*.weight": CONV,
    "classifier.weight": HEAD,
    "classifier.bias": BIAS,
}
TRANSFORMER = {
    "patch_embed.proj.weight": PATCHES,
    **NORM,
    "head*.weight": HEAD,
    "*.weight": LINEAR,
    "*.bias": BIAS,
}
MIXER = {"stem.proj.weight": PATCHES, **NORM, "head.weight": HEAD, "*.weight": LINEAR, "*.bias": BIAS}
VIT = {"cls_token": token("sso"), "pos_embed": positions("sso"), **TRANSFORMER}
SWIN = {"*.relative_position_bias_table": PLACES, **TRANSFORMER}
SWIN_2 = {
    "*.logit_scale": gain("oss"),  # one a head
    "*.?_bias": BIAS,
    "*.cpb_mlp.0.weight": FIRST,  # reads the coordinates
    **TRANSFORMER,
}
SHORT = {"img_size": 32, "depth": 2}
TWO_STAGES = {"depths": (1, 2), "embed_dim": 48, "num_heads": (2, 4)}

IMAGE_MODELS = (
    image_model("resnet18", RESNET),
    image_model("resnext50_32x4d", RESNET),
    image_model("convnext_atto", CONVNEXT),
    image_model("efficientnet_b0", EFFICIENTNET),
    image_model("mobilenetv3_small_050", MOBILENET),
    image_model("regnety_002", REGNET),
    image_model("nf_resnet26", NORMALIZER_FREE),
    image_model("resnetv2_50d_gn", GROUP_NORMED),
    image_model("densenet121", DENSENET),
    image_model("mixer_s32_224", MIXER, 64, img_size=64),
    image_model("vit_tiny_patch16_224", VIT, **SHORT),
    image_model("deit_tiny_distilled_patch16_224", {"dist_token": token("sso"), **VIT}, **SHORT),
    image_model("cait_xxs24_224", {"*.gamma_?": GAIN, **VIT}, **SHORT),
    image_model(
        "beit_base_patch16_224",
        {"cls_token": token("sso"), "*.gamma_?": GAIN, "*.attn.?_bias": BIAS, **SWIN},
        **SHORT,
        embed_dim=48,
        num_heads=3,
    ),
    image_model("swin_tiny_patch4_window7_224", SWIN, 56, img_size=56, **TWO_STAGES),
    image_model("swinv2_tiny_window8_256", SWIN_2, 64, img_size=64, window_size=8, **TWO_STAGES),
)
