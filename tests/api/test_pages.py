"""The pages for a browser: offline, strict, and complete."""

import re
from pathlib import Path

import pytest
from fastapi import FastAPI

from tests.api.client import Client, problem

PAGES = ["/", "/docs", "/problems/not-found"]
FOLDER = Path(__file__).parents[2] / "service" / "dashboard" / "assets"
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.js"))


@pytest.mark.parametrize(
    "path", [*PAGES, *(f"/assets/{name}" for name in SCRIPTS), "/assets/page.css", "/assets/icon.svg"]
)
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
def test_every_page_names_its_icon(client: Client, path: str) -> None:
    """A browser that is told of none asks for /favicon.ico, and the log fills with 404s."""
    address = re.findall(r'<link rel="icon" href="([^"]+)"', client.get(path).text)
    assert len(address) == 1
    assert client.get(address[0]).headers["content-type"] == "image/svg+xml"


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


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_scripts_set_text_only(client: Client, name: str) -> None:
    script = client.get(f"/assets/{name}").text
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|DOMParser|document\.write|eval\(|Function\(", script)


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_a_script_imports_is_there(client: Client, name: str) -> None:
    """A name that is not exported stops the whole page, in the browser alone."""
    for names, address in re.findall(r'^import \{([^}]+)\} from "([^"]+)";', client.get(f"/assets/{name}").text, re.M):
        exported = client.get(address)
        assert exported.status_code == 200, address
        for imported in names.split(","):
            found = rf"^export (?:async )?(?:function|class|const) {imported.strip()}\b"
            assert re.search(found, exported.text, re.M), (imported, address)


def test_every_element_that_a_script_asks_for_is_on_the_page(client: Client) -> None:
    there = set(re.findall(r' id="([^"]+)"', client.get("/").text))
    for name in SCRIPTS:
        script = client.get(f"/assets/{name}").text
        asked = set(re.findall(r'(?:byId|tell|showWarnings)\("([\w-]+)"', script))
        assert asked <= there, name


def test_the_key_travels_in_a_header_alone(client: Client) -> None:
    """Not in an address, which stands in logs and in the history; not kept beyond the tab; and one place sends it."""
    scripts = {name: client.get(f"/assets/{name}").text for name in SCRIPTS}
    together = "".join(scripts.values())
    assert "sessionStorage" in scripts["service.js"]
    assert not re.search(r"localStorage|document\.cookie|indexedDB|EventSource\(|XMLHttpRequest|sendBeacon", together)
    assert [name for name, text in scripts.items() if re.search(r"\bfetch\(", text)] == ["service.js"]
    assert scripts["service.js"].count("await fetch(") == 1
    assert re.findall(r"\$\{used\}.*|.*\$\{key.*", together) == ["${used}`;"]
    assert "headers.Authorization = `Bearer ${used}`;" in scripts["service.js"]
    assert 'type="password"' in client.get("/").text
    # what an image or a link loads by itself carries no header
    assert not re.search(r"\.src = (?!URL\.createObjectURL)", together)
    assert not re.search(r"\.href =", together)


def test_the_reference_names_every_operation_and_schema(client: Client, app: FastAPI) -> None:
    text, document = client.get("/docs").text, app.openapi()
    for operations in document["paths"].values():
        for operation in operations.values():
            assert f'id="{operation["operationId"]}"' in text
    for name in document["components"]["schemas"]:
        assert f'id="schema-{name}"' in text
    assert "curl" in text


@pytest.mark.parametrize("name", ["nothing.js", "index.html", "routes.py", "..%2froutes.py", "..%2findex.html", "%00"])
def test_other_files_are_not_served(client: Client, name: str) -> None:
    problem(client.get(f"/assets/{name}"), 404, "not-found")
