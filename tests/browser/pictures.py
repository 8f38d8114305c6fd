"""The pictures of the page in docs/pictures (`make pictures`)."""

import sys
import tempfile
from pathlib import Path

from tests.browser.chromium import chromium
from tests.browser.reader import Reader
from tests.cli.test_serve import serving

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
#: By file: the page's state, the width of the window, whether it is dark, and the height that is kept.
PICTURES = {
    "calculator.png": (
        "optimizer=adamw&weight_decay=0.1&init_std=0.02&compare_parameterization=mup",
        1280,
        False,
        1180,
    ),
    "tensors.png": (
        "model=architecture&parameterization=mup&optimizer=adamw&weight_decay=0.1&depth_rule=completep&target_depth=24"
        "&open=model.layers.*.mlp.up_proj.weight+hidden%7Clearning_rate%7Cfirst",
        1280,
        True,
        900,
    ),
}


def main() -> None:
    """Draw them all."""
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        Path(folder, "log").open("w") as log,
        serving(Path(folder, "data"), stderr=log) as (address, _),
        chromium() as browser,
    ):
        for name, (state, width, dark, height) in PICTURES.items():
            scheme = "dark" if dark else "light"
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            Reader(page, address).open(state)
            page.wait_for_load_state("networkidle")
            page.screenshot(path=FOLDER / name)
            sys.stdout.write(f"{name}: {(FOLDER / name).stat().st_size // 1000} kB\n")


if __name__ == "__main__":
    main()
