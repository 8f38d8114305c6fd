"""Every export, by its name."""

from collections.abc import Mapping
from types import MappingProxyType

from widthwise.exports import (
    automodel,
    axolotl,
    fairseq2,
    hf_trainer,
    levanter,
    lightning,
    llm_foundry,
    megatron,
    megatron_bridge,
    olmo_core,
    optax_module,
    plan_csv,
    plan_json,
    plan_yaml,
    torch_groups,
    torchtitan,
)
from widthwise.exports.record import ExportRecord

_MODULES = (
    *(plan_json, plan_yaml, plan_csv, torch_groups, optax_module, hf_trainer, axolotl, torchtitan, automodel),
    *(megatron, megatron_bridge, fairseq2, olmo_core, lightning, llm_foundry, levanter),
)
EXPORTS: Mapping[str, ExportRecord] = MappingProxyType({module.EXPORT.name: module.EXPORT for module in _MODULES})
