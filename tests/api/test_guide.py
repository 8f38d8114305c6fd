"""The guide under /guide: the built site and nothing else, with a strict policy; a page in plain words without one."""

import hashlib
import re
import shutil
from pathlib import Path

import pytest
from fastapi import FastAPI

from service.dashboard.assets import with_release
from service.guide.site import Guide, built_guide
from tests.api.client import Client
from tests.api.guides import ADVICE, FILES, build_guide

ROOT = Path(__file__).parents[2]
TYPES = {
    "html": "text/html; charset=utf-8",
    "svg": "image/svg+xml",
    "json": "application/json",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
}


@pytest.fixture
def folder(app: FastAPI, tmp_path: Path) -> Path:
    """The folder of the application's guide, which is built; above it lies a file that is nobody's business."""
    (tmp_path / "secret.txt").write_text("hunter2", encoding="utf-8")
    app.state.guide = build_guide(tmp_path / "site")
    return tmp_path / "site"


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_served_under_a_strict_policy(client: Client, folder: Path, name: str) -> None:
    answer = client.get(f"/guide/{name}")
    assert (answer.status_code, answer.text) == (200, FILES[name])
    assert answer.headers["content-type"] == TYPES[name.rpartition(".")[2]]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in policy
    if name.endswith(".svg"):  # as those of calibrations: a picture with its own styles, in which nothing runs
        assert "script-src" not in policy
    else:
        assert "script-src 'self'; style-src 'self';" in policy
        assert "unsafe" not in policy


def test_a_folder_is_its_index(client: Client, folder: Path) -> None:
    assert client.get("/guide/").text == FILES["index.html"]
    assert client.get("/guide/docs/results/").text == FILES["docs/results/index.html"]


def test_the_address_without_the_slash_leads_to_it(client: Client) -> None:
    answer = client.get("/guide")
    assert (answer.status_code, answer.headers["location"]) == (308, "/guide/")


@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}'])
def test_what_a_browser_has_is_not_sent_again(client: Client, folder: Path, known: str) -> None:
    first = client.get("/guide/")
    tag = first.headers["etag"]
    assert tag == f'"{hashlib.sha256(first.content).hexdigest()}"'
    again = client.get("/guide/", headers={"If-None-Match": known.format(tag)})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert again.headers["content-security-policy"] == first.headers["content-security-policy"]


@pytest.mark.parametrize("known", ["", '"other"', "W/", "x" * 4096])
def test_what_a_browser_has_of_another_build_is_sent(client: Client, folder: Path, known: str) -> None:
    assert client.get("/guide/", headers={"If-None-Match": known}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        *("nothing.html", "docs", "index.html/", "INDEX.HTML", "//index.html", "a.html%00", "%00", "%ff"),
        *("files.json", "unlisted.html", "listed.exe", "linked.txt", "/etc/passwd", "%2fetc%2fpasswd", "x" * 5000),
        *("..%2fsecret.txt", "%2e%2e/secret.txt", "docs%2f..%2f..%2fsecret.txt", "docs/%2e%2e/index.html", "..%5c"),
    ],
)  # fmt: skip
def test_nothing_else_is_served(client: Client, folder: Path, path: str) -> None:
    (folder / "unlisted.html").write_text("not of the site", encoding="utf-8")
    (folder / "listed.exe").write_text("of no type that a site has", encoding="utf-8")
    (folder / "linked.txt").symlink_to(folder.parent / "secret.txt")
    listed = (folder / "files.json").read_text(encoding="utf-8")
    (folder / "files.json").write_text(listed.replace("{", '{"listed.exe": "0", ', 1), encoding="utf-8")
    answer = client.get(f"/guide/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "The guide has no such page." in answer.text
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("path", ["../secret.txt", "docs/../../secret.txt", "docs/../index.html", "./index.html"])
def test_an_address_that_a_client_left_as_it_was_leads_nowhere(folder: Path, path: str) -> None:
    """Clients resolve such addresses before they send them; one need not."""
    assert (folder / path).exists()
    assert Guide(folder, ADVICE).file(path) is None


def test_without_a_guide_the_page_says_what_to_do(client: Client, app: FastAPI, tmp_path: Path) -> None:
    app.state.guide = Guide(tmp_path / "site", ADVICE)
    for path in ("/guide/", "/guide/docs/glossary.html"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "<h1>The guide is not built here" in answer.text
        assert "Run <code>make docs</code>, then load this page again." in answer.text
        assert with_release('<link rel="stylesheet" href="/assets/page.css">') in answer.text
        assert not re.search(r"<script|<style|\sstyle=", answer.text)
        assert "unsafe" not in answer.headers["content-security-policy"]
    build_guide(tmp_path / "site")
    assert client.get("/guide/").status_code == 200


def test_a_guide_may_be_built_again_while_the_service_runs(client: Client, folder: Path) -> None:
    before = client.get("/guide/").headers["etag"]
    (folder / "index.html").unlink()  # MkDocs first empties the folder
    assert client.get("/guide/").status_code == 404
    shutil.rmtree(folder)
    assert "The guide is not built here" in client.get("/guide/").text
    build_guide(folder, {**FILES, "index.html": "<!doctype html>changed", "new.html": "<!doctype html>new"})
    changed = client.get("/guide/", headers={"If-None-Match": before})
    assert (changed.status_code, changed.text) == (200, "<!doctype html>changed")
    assert client.get("/guide/new.html").status_code == 200


def test_the_guide_of_a_checkout_is_the_one_that_make_docs_writes() -> None:
    found = built_guide()
    assert found.folder == ROOT / "build" / "site"
    assert "`make docs`" in found.advice
    assert re.search(r"^site_dir: build/site$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
