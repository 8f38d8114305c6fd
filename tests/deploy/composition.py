"""docker-compose.yml as Compose reads it: variables filled in, every service with its command and environment."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE_FILES = ("docker-compose.yml", "deploy/worker-node.yml")


@dataclass(frozen=True)
class Composition:
    """One Compose file: its services, networks, volumes and secrets, all variables at their defaults."""

    services: dict[str, dict[str, Any]]
    networks: dict[str, Any]
    volumes: dict[str, Any]
    secrets: dict[str, dict[str, str]]
    folder: Path

    def command(self, name: str) -> list[str]:
        """Return a service's command; ours follow the image's entry point."""
        words = self.services[name]["command"]
        return ["widthwise", *words] if "build" in self.services[name] else list(words)

    def health_command(self, name: str) -> list[str]:
        """Return what the engine runs as a service's health check."""
        kind, *words = self.services[name]["healthcheck"]["test"]
        return ["/bin/sh", "-c", *words] if kind == "CMD-SHELL" else words

    def environment(self, name: str) -> dict[str, str]:
        """Return the variables that a service's container has."""
        return {variable: str(value) for variable, value in self.services[name].get("environment", {}).items()}

    def grace_seconds(self, name: str) -> float:
        """Return how long a service may take to stop before it is killed."""
        return seconds(self.services[name]["stop_grace_period"])

    def ours(self) -> list[str]:
        """Return the services that run our own images."""
        return [name for name, service in self.services.items() if "build" in service]

    def lasting(self) -> list[str]:
        """Return the services that run until they are stopped."""
        return [name for name in self.services if name != "migrate"]


def read(name: str = "docker-compose.yml", given: Mapping[str, str] | None = None) -> Composition:
    """Read one of the repository's Compose files, with `given` for the variables that it asks the shell for."""
    document = _fill(yaml.safe_load((ROOT / name).read_text(encoding="utf-8")), given or {})
    parts = {part: document.get(part, {}) for part in ("services", "networks", "volumes", "secrets")}
    return Composition(**parts, folder=(ROOT / name).parent)


def seconds(duration: str) -> float:
    """Return a Compose duration such as 90s or 2m in seconds."""
    match = re.fullmatch(r"(\d+)(s|m)", duration)
    assert match is not None, duration
    return float(match[1]) * (60 if match[2] == "m" else 1)


def in_its_environment(composition: Composition, name: str, changes: Mapping[str, str]) -> dict[str, str]:
    """Return a service's environment for a process here: nothing of ours from the test's own, and `changes` to it.

    changes: old text → new text, within the values: another host and port, another folder of secrets.
    """
    clean = {variable: value for variable, value in os.environ.items() if not variable.startswith("WIDTHWISE_")}
    return clean | {variable: replaced(value, changes) for variable, value in composition.environment(name).items()}


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """Return a text with each old part replaced, the longest first, and nothing replaced twice."""
    longest_first = sorted(changes, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), lambda match: changes[match[0]], text)


def _fill(value: Any, given: Mapping[str, str]) -> Any:
    """Fill in ${NAME:-default} and $$ in every text, as Compose does."""
    if isinstance(value, dict):
        return {key: _fill(part, given) for key, part in value.items()}
    if isinstance(value, list):
        return [_fill(part, given) for part in value]
    return re.sub(r"\$(?:(\$)|\{([^}]*)\})", lambda m: _one(m, given), value) if isinstance(value, str) else value


def _one(match: "re.Match[str]", given: Mapping[str, str]) -> str:
    if match[1]:
        return "$"
    name, sign, rest = re.fullmatch(r"(\w+)(:[-?])?(.*)", match[2]).groups()  # type: ignore[union-attr]
    assert sign is not None, f"{name} has neither a default nor a message for when it is not set"
    if sign == ":?":
        assert name in given, f"{name}: {rest}"
    return given.get(name) or (rest if sign == ":-" else "")
