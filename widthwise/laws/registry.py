"""The published laws, and the ones that are left out."""

from widthwise.laws.deepseek import DEEPSEEK
from widthwise.laws.joint_moe import JOINT_MOE
from widthwise.laws.law import PublishedLaw
from widthwise.laws.marin import ADAMH, MUONH
from widthwise.laws.step_law import STEP_LAW
from widthwise.laws.tinker import TINKER

LAWS: tuple[PublishedLaw, ...] = (STEP_LAW, DEEPSEEK, JOINT_MOE, ADAMH, MUONH, TINKER)
#: Laws that have no learning rate as they stand, or none that could be read, with the reason.
LEFT_OUT = {
    "Power Lines (2505.13738)": "it is a law of the product of learning rate and weight decay: B/(η·λ·D) = "
    "1.084·(D/N)^−0.527 has a λ for each rate and no rate; the rule `power_lines` of weight decay follows it",
    "Björck et al. (2409.19913)": "1.32e-5·N^−0.23·D^−0.32 with N and D in billions is 3e-6 for 1B on 100B tokens, "
    "hundreds of times below every other law, so a unit of it was misread",
    "2601.05049": "its units are unclear: a worked value for 2B on 300B tokens is three times the formula's",
    "Kakao's MoE (2608.20061)": "it is the course of one model over its tokens, without its size",
}
