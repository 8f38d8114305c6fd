"""Denoisers and an autoencoder of diffusers."""

from collections.abc import Callable

import torch
from diffusers import (
    AutoencoderKL,
    DiTTransformer2DModel,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    UNet2DConditionModel,
)
from torch import nn

from tests.models.zoo.sizes import BATCH
from tests.models.zoo.specimen import Inputs, Specimen
from tests.models.zoo.truth import BIAS, FIRST, GAIN, HEAD, LINEAR, NORM, PATCHES, TABLE, Truths, kernel
from widthwise.vocabulary import Role

TIMES = torch.tensor([1, 2, 3])
CONTEXT = 24  #: width of the text's features


def latents(channels: int = 4, size: int = 8) -> torch.Tensor:
    return torch.randn(BATCH, channels, size, size)


def context() -> torch.Tensor:
    return torch.randn(BATCH, 7, CONTEXT)


def denoiser(name: str, make: Callable[[], nn.Module], feed: Callable[[], Inputs], truths: Truths) -> Specimen:
    def build() -> tuple[nn.Module, Inputs]:
        torch.manual_seed(0)
        return make(), feed()

    return Specimen(f"diffusers {name}", build, truths)


def unet() -> nn.Module:
    return UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=CONTEXT,
        attention_head_dim=4,
        norm_num_groups=8,
    )


def dit() -> nn.Module:
    return DiTTransformer2DModel(
        num_attention_heads=4,
        attention_head_dim=12,
        in_channels=4,
        out_channels=8,
        num_layers=2,
        sample_size=8,
        patch_size=2,
        num_embeds_ada_norm=10,
        norm_num_groups=8,
    )


def sd3() -> nn.Module:
    return SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        num_layers=2,
        attention_head_dim=12,
        num_attention_heads=4,
        joint_attention_dim=CONTEXT,
        caption_projection_dim=48,
        pooled_projection_dim=20,
        out_channels=5,
        pos_embed_max_size=12,
    )


def flux() -> nn.Module:
    return FluxTransformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=3,
        joint_attention_dim=CONTEXT,
        pooled_projection_dim=20,
        axes_dims_rope=(4, 4, 8),
    )


def autoencoder() -> nn.Module:
    return AutoencoderKL(
        block_out_channels=(16, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        latent_channels=5,
    )


def noisy_picture() -> Inputs:
    return {"sample": latents(size=16), "timestep": TIMES, "encoder_hidden_states": context()}


def noisy_class() -> Inputs:
    return {"hidden_states": latents(), "timestep": TIMES, "class_labels": TIMES}


def noisy_latents() -> Inputs:
    return {
        "hidden_states": latents(),
        "encoder_hidden_states": context(),
        "pooled_projections": torch.randn(BATCH, 20),
        "timestep": TIMES,
    }


def noisy_tokens() -> Inputs:
    return {
        "hidden_states": torch.randn(BATCH, 9, 4),
        "encoder_hidden_states": context(),
        "pooled_projections": torch.randn(BATCH, 20),
        "timestep": TIMES,
        "img_ids": torch.rand(9, 3),
        "txt_ids": torch.rand(7, 3),
    }


CONDITIONED = {"*.timestep_embedder.linear_1.weight": FIRST, "*.text_embedder.linear_1.weight": FIRST}
JOINT = {**CONDITIONED, "context_embedder.weight": FIRST, "proj_out.weight": HEAD}
REST = {"*.weight": LINEAR, "*.bias": BIAS}

UNET = {
    "conv_in.weight": PATCHES,
    "conv_out.weight": kernel(role=Role.READOUT),
    "conv_norm_out.weight": GAIN,
    "time_embedding.linear_1.weight": FIRST,  # reads the sines of the time
    "*.attn2.to_k.weight": FIRST,  # reads the text
    "*.attn2.to_v.weight": FIRST,
    **NORM,
    "*conv*.weight": kernel(),
    "*.attentions.?.proj_*.weight": kernel(),  # 1 × 1
    **REST,
}
DIT = {
    "pos_embed.proj.weight": PATCHES,
    "*.embedding_table.weight": TABLE,
    "*.timestep_embedder.linear_1.weight": FIRST,
    "proj_out_2.weight": HEAD,
    **REST,
}
SD3 = {"pos_embed.proj.weight": PATCHES, **JOINT, **REST}
FLUX = {"*.attn.norm_*.weight": GAIN, "x_embedder.weight": FIRST, **JOINT, **REST}
AUTOENCODER = {
    "encoder.conv_in.weight": PATCHES,
    "decoder.conv_out.weight": kernel(role=Role.READOUT),
    "*norm*.weight": GAIN,
    "*conv*.weight": kernel(),
    **REST,
}

DIFFUSION = (
    denoiser("UNet2DCondition", unet, noisy_picture, UNET),
    denoiser("DiT", dit, noisy_class, DIT),
    denoiser("SD3", sd3, noisy_latents, SD3),
    denoiser("Flux", flux, noisy_tokens, FLUX),
    denoiser("AutoencoderKL", autoencoder, lambda: {"sample": latents(3, 16)}, AUTOENCODER),
)
