"""What is written: one file, inert data, and a policy that allows the page's own parts alone."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.report.html.matrix import Page, Tab, Words
from smforge.report.html.page import json_for_script, render_page

PICTURES = Path(__file__).parents[3] / "docs" / "pictures"
WORDS = Words("library", "libraries", "kernel", "kernels", "family", "families", "as", "hint")
TAB = Tab("", "t", "pass", "h", WORDS, (), (), ())
EMPTY = Page("audit", (TAB,), (), (), ())


def titled(title: str) -> Page:
    return replace(EMPTY, tabs=(replace(TAB, title=title),))


ANY_TEXT = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    ["</script>", "<!--", "<script", "]]>", "\u2028", "$data", "${policy}", "\\u003c", "&lt;"]
)


@given(ANY_TEXT, st.lists(ANY_TEXT, max_size=3))
def test_foreign_text_is_inert_and_comes_back_whole(title: str, names: list[str]) -> None:
    written = json_for_script(replace(titled(title), names=tuple(names)))
    assert written.isascii()
    assert not set("<>&") & set(written)
    read = json.loads(written)
    assert (read["tabs"][0].get("title", ""), read.get("names", [])) == (title, names)


@given(ANY_TEXT)
def test_a_page_has_its_own_elements_and_no_more(title: str) -> None:
    html = render_page(titled(title))
    plain = render_page(EMPTY)
    assert html.isascii()
    assert re.findall(r"<[^\s>]+", html) == re.findall(r"<[^\s>]+", plain)


def test_the_policy_allows_the_style_and_the_script_of_the_page_alone() -> None:
    html = render_page(EMPTY)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy.startswith("default-src 'none';")
    for directive, element in (("style-src", "style"), ("script-src", "script")):
        (text,) = re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}';" in policy
    assert " style=" not in html
    assert not re.search(r"\bon[a-z]+=\"", html)


def test_the_page_names_nothing_on_the_network() -> None:
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", render_page(EMPTY)))
    assert addresses <= {"http://www.w3.org"}, "the SVG namespace is a name, not an address"


@pytest.mark.parametrize("picture", sorted(PICTURES.iterdir()), ids=lambda path: path.name)
def test_the_pictures_of_the_documentation_are_small_and_need_no_network(picture: Path) -> None:
    assert picture.stat().st_size < 150_000
    if picture.suffix == ".svg":
        text = picture.read_text(encoding="utf-8")
        assert "vllm-0.33.0" in text
        assert re.findall(r"url\((?!#)[^)]*\)|href=|@import|<script", text) == []
