"""The pages for a browser: offline, strict, and complete."""

import re
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import ClassVar

import pytest
from fastapi import FastAPI

from service.dashboard import parameters
from service.dashboard.assets import ASSETS, asset, needed_by, release
from service.dashboard.bar import PAGES as BAR
from service.dashboard.choices import RULES
from service.dashboard.views import VIEWS
from tests.api.client import Client, problem
from widthwise.rules.beyond_width.completep import CompleteP
from widthwise.rules.beyond_width.named import About
from widthwise.rules.beyond_width.parameter import parameters_of, said
from widthwise.rules.beyond_width.registry import NAMED_RULES

ROOT = Path(__file__).parents[2]
VIEW_PATHS = {name: view.path.replace("{id}", "00000000-0000-4000-8000-000000000000") for name, view in VIEWS.items()}
PAGES = [*VIEW_PATHS.values(), "/docs", "/problems/not-found"]
SCRIPTS = [name for name in ASSETS if name.endswith(".js")]


@pytest.mark.parametrize("path", [*PAGES, *(f"/assets/{name}" for name in ASSETS)])
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
            if target.startswith("/guide/docs/"):  # the client's guide is a small one
                assert (ROOT / target.removeprefix("/guide/")).with_suffix(".md").is_file(), address
            elif target:
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
            found = rf"^export (?:(?:async )?(?:function|class|const) |const \{{[^}}]*\b){imported.strip()}\b"
            assert re.search(found, exported.text, re.M), (imported, address)


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_a_script_calls_is_there(name: str) -> None:
    """A call of another module's function that is not imported fails when it is reached, in the browser alone."""
    exported = {
        found
        for script in SCRIPTS
        for found in re.findall(r"^export (?:async )?(?:function|class|const) (\w+)", code(script), re.M)
    }
    text = code(name)
    called = set(re.findall(r"(?<![\w.])(?:new )?(\w+)\(", text)) & exported
    known = {word.strip() for names in re.findall(r"^import \{([^}]+)\}", text, re.M) for word in names.split(",")}
    known |= set(re.findall(r"\b(?:function|class|const|let) (\w+)", text))
    known |= set(re.findall(r"[{(,]\s*(\w+)(?=\s*[,}=)])", text))  # parameters, and what is taken out of an object
    assert called - known == set()


def code(name: str) -> str:
    """A script without its comments and strings; what a template computes stays."""
    text = re.sub(r'"[^"\n]*"', '""', asset(name).decode("utf-8"))
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("name", VIEWS)
def test_every_element_that_a_script_asks_for_is_on_its_page(client: Client, name: str) -> None:
    there = set(re.findall(r' id="([^"]+)"', client.get(VIEW_PATHS[name]).text))
    entry = f"{name}/{name}.js"
    for script in (entry, *needed_by(entry)):
        asked = set(re.findall(r'(?:byId|tell|showWarnings)\("([\w-]+)"', client.get(f"/assets/{script}").text))
        assert asked <= there, script


def test_every_parameter_of_every_rule_has_a_field(client: Client) -> None:
    """Next to the list that chooses the rule, and shown while it does."""
    page = client.get("/").text
    listed = {about: name for name, about in RULES.items()}
    for rule in NAMED_RULES:
        box = page.partition(f'<div data-when="{listed[rule.about]}={rule.word}" hidden>')[2].partition("<select")[0]
        for each in parameters_of(rule):
            found = re.search(
                rf'<label>([^<]+)(?: <a [^>]*>\?</a>)?<input [^>]*data-path="rules.{rule.about}.{each.name}"', box
            )
            assert found, (rule.word, each.name)
            assert unescape(found[1]) == each.label
    assert page.count("data-rule=") == sum(len(parameters_of(rule)) for rule in NAMED_RULES)


def test_a_rule_that_comes_has_fields_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two parameters that may both be left out are both shown."""

    @dataclass(frozen=True, slots=True)
    class Coming(CompleteP):
        """A rule that is not written yet."""

        beta: float = field(default=-0.25, metadata=said("Exponent β of the depth", -1, 0))
        word: ClassVar = "coming"

    monkeypatch.setattr(parameters, "BY_WORD", {About.DEPTH: {"coming": Coming}})
    written = parameters.with_parameters("<!-- parameters depth_rule -->")
    assert written.startswith('<div data-when="depth_rule=coming" hidden><label>Exponent α of the depth')
    assert re.findall(r'name="(\w+)".*?placeholder="([^"]+)"', written) == [
        ("depth_coming_alpha", "1"),
        ("depth_coming_beta", "−0.25"),
    ]


def test_every_script_is_needed_by_a_page() -> None:
    entries = [f"{name}/{name}.js" for name in VIEWS]
    assert {*entries, *(script for entry in entries for script in needed_by(entry))} == set(SCRIPTS)


@pytest.mark.parametrize("name", VIEWS)
def test_a_page_loads_its_modules_at_once(client: Client, name: str) -> None:
    """A browser that has to read a module to learn of the next needs a round trip for each."""
    address = rf'<link rel="modulepreload" href="/assets/{release()}/([^"]+)">'
    loaded = re.findall(address, client.get(VIEW_PATHS[name]).text)
    assert {"shared/page.js", "shared/service.js"} <= set(loaded)
    assert len(loaded) == len(set(loaded))


def test_assets_are_kept_for_good_at_addresses_that_change_with_them(client: Client) -> None:
    """And only there: a page itself is asked for each time, and says which assets are its own."""
    page = client.get("/")
    assert page.headers["cache-control"] == "no-cache"
    waiting = set(re.findall(r'(?:href|src)="(/assets/[^"]+)"', page.text))
    seen: set[str] = set()
    while waiting:
        address = waiting.pop()
        seen.add(address)
        asset = client.get(address)
        assert "immutable" in asset.headers["cache-control"], address
        waiting |= set(re.findall(r'"(/assets/[^"]+)"', asset.text)) - seen
    assert len(seen) > 20
    old = client.get("/assets/0123456789ab/shared/page.js")
    assert (old.status_code, old.headers["cache-control"]) == (200, "no-cache")
    assert f"/assets/{release()}/" in old.text


def test_pages_and_assets_are_packed_for_who_takes_them_so(client: Client) -> None:
    for path in ("/", "/docs", "/assets/page.css"):
        packed = client.get(path, headers={"Accept-Encoding": "gzip"})
        plain = client.get(path, headers={"Accept-Encoding": "identity"})
        assert packed.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert packed.text == plain.text
        assert int(packed.headers["content-length"]) < len(plain.content) / 2
        assert packed.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("path", PAGES)
def test_the_bar_is_on_every_page(client: Client, path: str) -> None:
    bar = client.get(path).text.split("<nav")[1].split("</nav>")[0]
    assert re.findall(r'href="([^"]+)"', bar) == list(BAR)
    marked = re.findall(r'href="([^"]+)" aria-current="page"', bar)
    assert marked == ([] if path.startswith("/problems") else ["/" + path.split("/")[1]])


def test_the_key_travels_in_a_header_alone(client: Client) -> None:
    """Not in an address, which stands in logs and in the history; not kept beyond the tab; and one place sends it."""
    scripts = {name: client.get(f"/assets/{name}").text for name in SCRIPTS}
    together = "".join(scripts.values())
    assert "sessionStorage" in scripts["shared/service.js"]
    assert not re.search(r"localStorage|document\.cookie|indexedDB|EventSource\(|XMLHttpRequest|sendBeacon", together)
    assert [name for name, text in scripts.items() if re.search(r"\bfetch\(", text)] == ["shared/service.js"]
    assert scripts["shared/service.js"].count("await fetch(") == 1
    assert re.findall(r"\$\{used\}.*|.*\$\{key.*", together) == ["${used}`;"]
    assert "headers.Authorization = `Bearer ${used}`;" in scripts["shared/service.js"]
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
