"""The pages for a browser: offline, strict, and complete."""

import re

import pytest
from fastapi import FastAPI

from tests.api.client import Client, problem

PAGES = ["/", "/docs", "/problems/not-found"]


@pytest.mark.parametrize("path", [*PAGES, "/assets/dashboard.js", "/assets/page.css"])
def test_nothing_comes_from_elsewhere(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    for address in re.findall(r"""(?:src|href)=["']([^"']+)["']|url\(([^)]+)\)|@import\s+(\S+)""", response.text):
        assert "".join(address).startswith(("/", "#")), address


@pytest.mark.parametrize("path", PAGES)
def test_no_inline_script_or_style(client: Client, path: str) -> None:
    """The policy would block it silently."""
    text = client.get(path).text
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", text)


def test_every_link_leads_somewhere(client: Client) -> None:
    for path in PAGES:
        text = client.get(path).text
        anchors = set(re.findall(r"""id=["']([^"']+)["']""", text))
        for address in set(re.findall(r"""(?:href|src)=["']([^"']+)["']""", text)):
            target, _, anchor = address.partition("#")
            if target:
                assert client.get(target).status_code == 200, address
            elif anchor:
                assert anchor in anchors, address


def test_the_script_sets_text_only(client: Client) -> None:
    script = client.get("/assets/dashboard.js").text
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)


def test_the_reference_names_every_operation_and_schema(client: Client, app: FastAPI) -> None:
    text, document = client.get("/docs").text, app.openapi()
    for operations in document["paths"].values():
        for operation in operations.values():
            assert f'id="{operation["operationId"]}"' in text
    for name in document["components"]["schemas"]:
        assert f'id="schema-{name}"' in text
    assert "curl" in text


@pytest.mark.parametrize("name", ["nothing.js", "index.html", "routes.py", "..%2froutes.py", "%00"])
def test_other_files_are_not_served(client: Client, name: str) -> None:
    problem(client.get(f"/assets/{name}"), 404, "not-found")
