"""Puts the folders at the top of the repository into the server's wheel, and the guide if it is built.

Not into an editable install: hatchling would copy there what is listed statically, and the copies would hide the
checkout.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGES = ("service", "workers", "migrations")


class RepositoryFolders(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's own example leaves it open
    """Adds the folders to a wheel that is built to be shipped."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """version: "standard" or "editable"."""
        if version == "standard":
            top = Path(self.root).parents[1]
            build_data["force_include"].update({str(top / name): name for name in PACKAGES})
            # Built before, by `make docs`: its references are written from the installed server, which a wheel's own
            # build environment does not have.
            site = top / "build" / "site"
            if (site / "files.json").is_file():
                build_data["force_include"][str(site)] = "service/guide/site"
            else:
                self.app.display_warning("this wheel has no guide: run `make docs` first, or build it by `make wheels`")
