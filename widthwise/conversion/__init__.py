"""From one optimizer or convention to another at the same size: exact where an identity exists, else a named heuristic.

Pure Python. A transfer over sizes is `widthwise.transfer`; here nothing grows.
"""

from widthwise.conversion.converted import Converted
from widthwise.conversion.decay import convert_decay
from widthwise.conversion.lora import convert_lora_alpha, convert_lora_plus
from widthwise.conversion.rate import CONVERTED, MUON_RMS_SCALE, convert_rate

__all__ = [
    "CONVERTED",
    "MUON_RMS_SCALE",
    "Converted",
    "convert_decay",
    "convert_lora_alpha",
    "convert_lora_plus",
    "convert_rate",
]
