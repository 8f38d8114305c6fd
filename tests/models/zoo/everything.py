"""All models of the zoo."""

from tests.models.zoo.adapters import ADAPTERS
from tests.models.zoo.diffusion import DIFFUSION
from tests.models.zoo.language import LANGUAGE
from tests.models.zoo.plain import PLAIN
from tests.models.zoo.pytorch_image import IMAGE_MODELS
from tests.models.zoo.sequences import SEQUENCES
from tests.models.zoo.state_space import STATE_SPACE
from tests.models.zoo.vision import VISION

ZOO = (*LANGUAGE, *STATE_SPACE, *SEQUENCES, *VISION, *PLAIN, *IMAGE_MODELS, *DIFFUSION, *ADAPTERS)
