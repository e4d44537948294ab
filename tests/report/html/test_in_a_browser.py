"""The page, in a real headless Chromium."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from smforge.arch.devices import current_devices
from smforge.errors import DamagedInputError
from smforge.policy.excuses import Excuse
from smforge.report.html.audit_page import audit_page
from smforge.report.html.page import render_page
from smforge.verdict.unread import unread

pytestmark = pytest.mark.browser

HOSTILE = (
    "</script><script>window.owned=1</script>",
    "<img src=x onerror=window.owned=1>",
    "<!--<script>",
    "]]>&lt;&amp;",
    "javascript:window.owned=1",
    "\udcff\u202e\u2028\x00",
    "${policy}\\u003cb>",
    "__proto__",
)


@pytest.fixture
def html(make: Any) -> str:
    """Two libraries: one with a kernel that 12.1 lacks, one for Hopper alone."""
    code = make.library(
        "pkg/_C.abi3.so",
        make.code("sm_120", "_ZN6marlin6MarlinILi1EEEvv", "norm"),
        make.code("sm_80", "_ZN6marlin6MarlinILi2EEEvv", "norm"),
    )
    ptx = make.library("", make.code("compute_80", "from_ptx"))
    return make.html(
        code._replace(regions=(*code.regions, *ptx.regions)),
        make.library("pkg/flash/_fa3.so", make.code("sm_90a", "flash_fwd")),
        require="12.1 9.0",
    )


def test_it_opens_with_verdict_findings_and_matrix(html: str, open_report: Any) -> None:
    page = open_report(html).page
    assert page.title() == "some-1.0.whl - smforge audit"
    assert page.locator("#outcome").inner_text() == "Does not cover 12.1 9.0: kernels-missing (2)."
    levels = page.locator("#notes > .note .level").all_inner_texts()
    # The warning of both devices stands once.
    assert levels == ["error", "error", "warning"]
    assert page.locator("#matrix thead th b").all_inner_texts() == ["12.1", "9.0"]
    assert page.locator("#shown").inner_text() == "2 libraries, 2 devices"


def test_a_cell_shows_its_state_in_words_and_shape(html: str, open_report: Any) -> None:
    opened = open_report(html)
    cell = opened.cell("pkg/_C.abi3.so", "12.1")
    assert cell.inner_text().split("\n") == ["partial", "1 missing"]
    assert cell.locator("use").get_attribute("href") == "#shape-partial"
    label = cell.get_attribute("title")
    assert label == (
        "pkg/_C.abi3.so on 12.1: partial, 4 kernels: 1 cannot run, 1 PTX only, 2 native"
    )


def test_a_cell_says_what_a_policy_excuses(make: Any, open_report: Any) -> None:
    lib = make.library("x.so", make.code("sm_120", "a"), make.code("sm_90", "b", "c"))
    excuse = Excuse("made for Hopper", "the test", kernel="b")
    page = audit_page([make.audit(lib, require="12.0", excuses=[excuse])])
    opened = open_report(render_page(page))
    cell = opened.cell("x.so", "12.0")
    assert cell.inner_text().split("\n") == ["partial", "1 missing", "+1 excused"]
    cell.click()
    panel = opened.page.locator("#panel")
    assert "1 cannot run, 1 native, 1 excused by policy" in panel.inner_text()
    assert "made for Hopper" in opened.page.locator("#excuses").inner_text()


def test_a_cell_opens_to_families_and_what_they_are_embedded_as(
    html: str, open_report: Any
) -> None:
    opened = open_report(html)
    opened.cell("pkg/_C.abi3.so", "12.1").click()
    ways = opened.page.locator("#panel details.reach")
    assert ways.locator("summary .tag").all_inner_texts() == [
        "1 cannot run",
        "1 PTX only",
        "2 native",
    ]
    missing = ways.first.locator(".group")
    # What is opened is filled in a moment later.
    expect(missing.locator(".code")).to_have_text(["sm_80"])
    assert missing.locator("li").all_inner_texts() == ["1\nmarlin::Marlin<…>"]
    ways.last.locator("summary").click()
    expect(ways.last.locator(".code.runs").first).to_be_visible()
    codes = ways.last.locator(".code.runs").all_inner_texts()
    assert set(codes) == {"sm_120"}
    opened.cell("pkg/_C.abi3.so", "12.1").click()
    assert opened.page.locator("#panel").count() == 0


def test_the_filter_finds_libraries_kernels_and_devices(html: str, open_report: Any) -> None:
    page = open_report(html).page
    field = page.get_by_label("Filter")
    for words, told in {
        "flash_fwd": "1 of 2 libraries, 2 of 2 devices",
        "_fa3": "1 of 2 libraries, 2 of 2 devices",
        "12.1": "2 of 2 libraries, 1 of 2 devices",
        "hopper marlin": "1 of 2 libraries, 1 of 2 devices",
        "spark": "2 of 2 libraries, 1 of 2 devices",
        "nowhere": "0 of 2 libraries, 2 of 2 devices",
        "": "2 libraries, 2 devices",
    }.items():
        field.fill(words)
        assert page.locator("#shown").inner_text() == told, words
    field.fill("nowhere")
    assert page.locator("#more").inner_text() == "No library matches."


def test_a_deep_link_restores_the_view(html: str, open_report: Any) -> None:
    opened = open_report(html)
    opened.page.get_by_label("Filter").fill("marlin")
    opened.cell("pkg/_C.abi3.so", "12.1").click()
    link = opened.page.url
    assert "lib=pkg%2F_C.abi3.so&device=12.1&q=marlin" in link
    again = open_report(html, link.partition("report.html")[2])
    assert again.page.locator("#panel h3").inner_text() == "pkg/_C.abi3.so on 12.1"
    assert again.page.get_by_label("Filter").input_value() == "marlin"
    assert again.cell("pkg/_C.abi3.so", "12.1").get_attribute("aria-expanded") == "true"
    again.page.keyboard.press("Escape")
    assert again.page.locator("#panel").count() == 0
    again.page.go_back()
    assert again.page.locator("#panel").count() == 1


@pytest.mark.parametrize(
    "fragment", ["#lib=gone.so&device=12.1", "#device=77.7", "#%E0%A4%A", "#q"]
)
def test_a_link_to_what_is_not_there_shows_the_matrix(
    html: str, open_report: Any, fragment: str
) -> None:
    page = open_report(html, fragment).page
    assert page.locator("#panel").count() == 0
    assert page.locator("button.cell").count() == 4


def test_a_finding_leads_to_its_cell(html: str, open_report: Any) -> None:
    page = open_report(html).page
    page.locator("#notes .note").first.get_by_role("button").click()
    assert page.locator("#panel h3").inner_text() == "pkg/_C.abi3.so on 12.1"
    assert page.evaluate("document.activeElement.id") == "panel"


def test_the_matrix_is_one_tab_stop_and_the_arrow_keys_move_in_it(
    html: str, open_report: Any
) -> None:
    opened = open_report(html)
    focused = "document.activeElement.title"
    assert opened.page.locator('button.cell[tabindex="0"]').count() == 1
    opened.page.locator('button.cell[tabindex="0"]').focus()
    for key, place in (
        ("ArrowRight", "pkg/_C.abi3.so on 9.0"),
        ("ArrowDown", "pkg/flash/_fa3.so on 9.0"),
        ("ArrowDown", "pkg/flash/_fa3.so on 9.0"),
        ("ArrowLeft", "pkg/flash/_fa3.so on 12.1"),
    ):
        opened.page.keyboard.press(key)
        assert opened.page.evaluate(focused).startswith(place)
    opened.page.keyboard.press("Enter")
    assert opened.page.locator("#panel h3").inner_text() == "pkg/flash/_fa3.so on 12.1"


def brightness(page: Any, selector: str, what: str) -> float:
    colour = page.locator(selector).first.evaluate(f"(e) => getComputedStyle(e).{what}")
    red, green, blue = (
        (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4)
        for part in (int(one) / 255 for one in colour[colour.index("(") + 1 : -1].split(",")[:3])
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dark_and_light_follow_the_reader_and_stay_legible(
    make: Any, open_report: Any, scheme: str
) -> None:
    html = make.html(
        make.library("native.so", make.code("sm_90", "a")),
        make.library("ptx.so", make.code("compute_80", "a")),
        make.library("partial.so", make.code("sm_90", "a"), make.code("sm_80", "b")),
        make.library("none.so", make.code("sm_80", "a")),
        make.library("foreign.so", make.code("sm_100a", "a")),
        make.library("unclear.cubin", make.code("sm_80?", "a")),
        make.library("excused.so", make.code("sm_80", "known")),
        require="9.0",
        excuses=[Excuse("made for Ampere alone", "the test", kernel="known")],
    )
    page = open_report(html, color_scheme=scheme).page
    paper = brightness(page, "body", "backgroundColor")
    assert (paper > 0.5) == (scheme == "light")
    for state in ("native", "ptx", "partial", "none", "foreign", "unclear", "excused"):
        cell = f"button.cell.{state}"
        pair = sorted(brightness(page, cell, what) for what in ("color", "backgroundColor"))
        # WCAG 2.2, 1.4.3: text needs a contrast of 4.5 to 1.
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, state


def test_paper_is_white_whatever_the_reader_prefers(html: str, open_report: Any) -> None:
    page = open_report(html, color_scheme="dark").page
    page.emulate_media(media="print", color_scheme="dark")
    assert brightness(page, "body", "backgroundColor") == pytest.approx(1)
    assert not page.get_by_label("Filter").is_visible()
    assert page.locator("button.cell").first.is_visible()


def test_every_device_is_visible_at_1280_pixels(make: Any, open_report: Any) -> None:
    names = tuple(f"k{n}" for n in range(12463))
    html = make.html(
        make.library("package/some_long_library_name_C.abi3.so", make.code("sm_80", *names)),
        make.library("x.so", make.code("sm_90a", "a"), make.code("compute_80", *names)),
    )
    page = open_report(html, viewport={"width": 1280, "height": 900}).page
    assert page.locator("#matrix thead th b").count() == len(current_devices())
    for part in ("#matrix thead th", "button.cell", ".cell .count"):
        for one in page.locator(part).all():
            box = one.bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= 1280, part
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


@pytest.mark.parametrize("width", [360, 800, 1280])
def test_what_a_library_opens_to_lies_within_the_window(
    html: str, open_report: Any, width: int
) -> None:
    page = open_report(html, viewport={"width": width, "height": 800}).page
    page.locator("#matrix button.name").first.click()
    for part in ("#panel", "#panel .close", "#panel table"):
        box = page.locator(part).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width, part


def test_numbers_on_a_phone_keep_their_units(make: Any, open_report: Any) -> None:
    html = make.html(make.library("x.so", make.code("sm_90", "a"), make.code("sm_80", "b")))
    phone = open_report(html, viewport={"width": 390, "height": 800})
    assert phone.cell("x.so", "9.0").inner_text().split("\n") == ["9.0", "partial", "1 missing"]
    wide = open_report(html, viewport={"width": 1280, "height": 800})
    assert wide.cell("x.so", "9.0").inner_text().split("\n") == ["partial", "1"]


def test_the_matrix_stands_before_the_findings_and_a_link_leads_to_them(
    html: str, open_report: Any
) -> None:
    page = open_report(html, viewport={"width": 1280, "height": 600}).page
    matrix, notes = page.locator("#matrix").bounding_box(), page.locator("#notes").bounding_box()
    assert matrix is not None
    assert notes is not None
    assert matrix["y"] < notes["y"]
    page.get_by_role("button", name="2 errors, 2 warnings, 2 notes below").click()
    expect(page.locator("#notes-title")).to_be_in_viewport()
    assert page.evaluate("document.activeElement.id") == "notes-title"


@pytest.mark.parametrize(("require", "colour"), [("", False), ("7.5", True)])
def test_where_nothing_was_required_nothing_is_red(
    make: Any, open_report: Any, require: str, colour: bool
) -> None:
    html = make.html(make.library("x.so", make.code("sm_90", "a")), require=require)
    page = open_report(html).page
    for part in ("button.cell.none", "#outcome"):
        found = page.locator(part).first.evaluate("(e) => getComputedStyle(e).backgroundColor")
        assert (found == "rgb(180, 39, 31)") is colour, part


def test_where_nothing_was_required_of_several_subjects_nothing_is_red_either(
    make: Any, open_report: Any
) -> None:
    audit = make.audit(make.library("x.so", make.code("sm_90", "a")))
    torn = unread("torn.whl", DamagedInputError("It is cut off."), audit.view.request)
    page = open_report(render_page(audit_page([audit, torn]))).page
    assert page.locator("#outcome").get_attribute("class") == "outcome undetermined"
    colour = "(e) => getComputedStyle(e).backgroundColor"
    assert page.locator("button.cell.none").first.evaluate(colour) != "rgb(180, 39, 31)"


@pytest.mark.parametrize("width", [360, 768, 1366])
def test_it_fits_phones_and_laptops(html: str, open_report: Any, width: int) -> None:
    page = open_report(html, viewport={"width": width, "height": 800}).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_hostile_names_are_inert(make: Any, open_report: Any) -> None:
    html = make.html(
        *(make.library(f"x/{name}", make.code("sm_80", *HOSTILE)) for name in HOSTILE),
        require="12.1",
    )
    opened = open_report(html)
    for index in range(len(HOSTILE)):
        opened.page.locator("button.cell").nth(index).click()
        expect(opened.page.locator("#panel li")).to_have_count(len(HOSTILE))
        opened.go(f"#{opened.page.url.partition('#')[2]}")
        assert opened.page.locator("#panel").count() == 1
    assert opened.page.evaluate("window.owned") is None
    assert opened.page.locator("#panel img, #panel script").count() == 0


def test_many_libraries_are_drawn_when_asked_for_and_all_are_printed(
    make: Any, open_report: Any
) -> None:
    html = make.html(*(make.library(f"{i}.so", make.code("sm_90", "k")) for i in range(500)))
    opened = open_report(html)
    rows = opened.page.locator("#matrix tbody tr")
    assert rows.count() == 31
    opened.page.get_by_role("button", name="Show 60 of 470 more libraries").click()
    assert rows.count() == 91
    deep = open_report(html, "#lib=99.so&device=9.0")
    assert deep.page.locator("#panel h3").inner_text() == "99.so on 9.0"
    assert opened.page.pdf().startswith(b"%PDF")
    assert rows.count() == 501


def rows(page: Any) -> list[str]:
    return [one for one in page.locator("#matrix tbody .name").all_inner_texts() if one]


@pytest.fixture
def states_html(make: Any) -> str:
    """Libraries that differ in their state on 9.0 and in the number of kernels they lack."""
    return make.html(
        make.library("c.so", make.code("sm_90", "a")),
        make.library("a.so", make.code("sm_80", "a")),
        make.library("d.so", make.code("sm_80", "a", "b")),
        make.library("b.so", make.code("compute_80", "a")),
    )


def test_headings_sort_by_name_and_by_device_and_say_so(states_html: str, open_report: Any) -> None:
    page = open_report(states_html, viewport={"width": 1280, "height": 900}).page
    reported = ["c.so", "a.so", "d.so", "b.so"]
    worst_first = ["d.so", "a.so", "b.so", "c.so"]
    assert rows(page) == reported
    heading = page.locator("#matrix thead th", has=page.locator("b", has_text="9.0"))
    for order, said in (
        (worst_first, "ascending"),
        (worst_first[::-1], "descending"),
        (reported, "none"),
    ):
        heading.get_by_role("button").click()
        assert rows(page) == order
        assert heading.get_attribute("aria-sort") == said
    page.locator("#matrix thead th.names button").focus()
    page.keyboard.press("Enter")
    assert rows(page) == sorted(reported)
    # The heading keeps the focus, so that the next key goes to it again.
    page.keyboard.press("Enter")
    assert rows(page) == sorted(reported, reverse=True)
    assert page.locator('#matrix thead th[aria-sort="descending"]').count() == 1


def test_an_address_keeps_the_order_and_a_phone_has_a_list_for_it(
    states_html: str, open_report: Any
) -> None:
    phone = open_report(states_html, "#sort=9.0", viewport={"width": 390, "height": 800}).page
    assert rows(phone) == ["d.so", "a.so", "b.so", "c.so"]
    phone.get_by_label("Sort").select_option("-9.0")
    assert rows(phone) == ["c.so", "b.so", "a.so", "d.so"]
    assert phone.url.endswith("#sort=-9.0")
    unknown = open_report(states_html, "#sort=77.7").page
    assert rows(unknown) == ["c.so", "a.so", "d.so", "b.so"]


@pytest.fixture
def several(make: Any) -> str:
    """Three subjects: one passes, one fails, one could not be read."""
    good = make.audit(
        make.library("x.so", make.code("sm_90", "k")), require="9.0", name="good-1.0-a-b-c.whl"
    )
    bad = make.audit(
        make.library("x.so", make.code("sm_80", "k")), require="9.0", name="bad-2.0-a-b-c.whl"
    )
    torn = unread("torn.whl", DamagedInputError("It is cut off."), good.view.request)
    return render_page(audit_page([good, bad, torn]))


def test_each_subject_has_a_tab_and_a_verdict(several: str, open_report: Any) -> None:
    page = open_report(several).page
    tabs = page.get_by_role("tab")
    assert tabs.all_text_contents() == [
        "All subjects (fail)",
        "bad 2.0 (fail)",
        "torn.whl (undetermined)",
        "good 1.0 (pass)",
    ]
    assert page.locator("#title").inner_text() == "3 subjects"
    assert rows(page) == ["bad 2.0", "torn.whl", "good 1.0"]
    page.locator("#matrix .name", has_text="good 1.0").click()
    assert page.locator("#title").inner_text() == "good-1.0-a-b-c.whl"
    assert page.locator("#outcome").inner_text() == "Covers 9.0."
    assert page.evaluate("document.activeElement.id") == "title"
    assert page.url.endswith("#subject=good%201.0")
    page.get_by_role("tab", name="bad 2.0 (fail)").click()
    assert page.locator("#outcome").inner_text() == "Does not cover 9.0: device-missing (2)."
    page.go_back()
    assert page.locator("#outcome").inner_text() == "Covers 9.0."
    page.get_by_role("tab", name="good 1.0 (pass)").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#title").inner_text() == "3 subjects"
    page.keyboard.press("End")
    assert page.locator("#title").inner_text() == "good-1.0-a-b-c.whl"
    assert page.locator('[role="tab"][tabindex="0"]').count() == 1


def test_a_link_leads_into_the_tab_of_a_subject(several: str, open_report: Any) -> None:
    opened = open_report(several, "#subject=bad%202.0&lib=x.so&device=9.0")
    assert opened.page.locator("#panel h3").inner_text() == "x.so on 9.0"
    assert opened.page.locator("#gone").inner_text() == ""
    gone = open_report(several, "#subject=other%203.0")
    assert gone.page.locator("#title").inner_text() == "3 subjects"
    assert gone.page.locator("#gone").inner_text() == "This page has no subject other 3.0."


def test_the_link_that_skips_to_the_matrix_keeps_the_tab(several: str, open_report: Any) -> None:
    page = open_report(several, "#subject=bad%202.0").page
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "matrix"
    assert page.locator("#title").inner_text() == "bad-2.0-a-b-c.whl"


def test_tabs_of_many_subjects_leave_room_for_the_page(make: Any, open_report: Any) -> None:
    names = [f"package_with_a_long_name_{n}-1.0-py3-none-any.whl" for n in range(60)]
    page = open_report(render_page(audit_page([make.audit(name=name) for name in names]))).page
    tabs = page.locator("#tabs").bounding_box()
    assert tabs is not None
    assert tabs["height"] < 200
    last = page.get_by_role("tab").last
    last.focus()
    expect(last).to_be_in_viewport()


def test_one_subject_has_no_tabs(html: str, open_report: Any) -> None:
    page = open_report(html).page
    assert not page.locator("#tabs").is_visible()
    assert page.locator('[role="tabpanel"]').count() == 0


@pytest.mark.parametrize(
    ("fragment", "told"),
    [
        ("#lib=gone.so", "This page has no library gone.so."),
        ("#lib=pkg%2F_C.abi3.so&device=7.0", "This page has no device 7.0."),
        (
            "#lib=pkg%2F_C.abi3.so&device=12.1&family=gone",
            "There is no family gone here.",
        ),
    ],
)
def test_a_link_to_what_is_not_there_says_so(
    html: str, open_report: Any, fragment: str, told: str
) -> None:
    page = open_report(html, fragment).page
    assert page.locator("#gone").inner_text() == told
    page.locator("button.name").first.click()
    assert page.locator("#gone").inner_text() == ""


def test_a_family_is_a_link_to_itself(html: str, open_report: Any) -> None:
    opened = open_report(html, viewport={"width": 1280, "height": 500})
    opened.cell("pkg/_C.abi3.so", "12.1").click()
    opened.page.locator("#panel details", has_text="2 native").locator("summary").click()
    opened.page.get_by_role("link", name="norm").click()
    assert opened.page.url.endswith("#lib=pkg%2F_C.abi3.so&device=12.1&family=norm")
    again = open_report(html, opened.page.url.partition("report.html")[2])
    marked = again.page.locator("#panel li.target")
    expect(marked).to_have_text(["1norm"])
    expect(marked).to_be_in_viewport()
    assert again.page.evaluate("document.activeElement.textContent") == "norm"


def test_a_link_opens_a_family_that_stands_far_down_a_long_list(
    make: Any, open_report: Any
) -> None:
    kernels = tuple(f"k{n:03}" for n in range(200))
    html = make.html(make.library("x.so", make.code("sm_90", *kernels)), require="9.0")
    page = open_report(html, "#lib=x.so&device=9.0&family=k150").page
    expect(page.locator("#panel li.target")).to_have_text(["1k150"])
    expect(page.locator("#panel li.target")).to_be_in_viewport()


def test_without_a_script_the_page_can_be_read(
    several: str, open_report: Any, browser: Any, tmp_path: Any
) -> None:
    file = tmp_path / "plain.html"
    file.write_text(several)
    page = browser.new_page(java_script_enabled=False)
    page.goto(file.as_uri())
    shown = page.locator("body").inner_text()
    for part in (
        "3 subjects: 1 pass, 1 fail, 1 undetermined.",
        "good-1.0-a-b-c.whl",
        "Covers 9.0.",
        "Does not cover 9.0: device-missing (2).",
        "✗ none 1",
        "error subject-unread: torn.whl could not be read: It is cut off.",
    ):
        assert part in shown
    assert page.title() == "3 subjects - smforge audit"
    assert not page.locator("#sheet").is_visible()
    page.close()


def test_without_a_script_hostile_names_are_inert(make: Any, browser: Any, tmp_path: Any) -> None:
    file = tmp_path / "plain.html"
    file.write_text(
        make.html(
            *(make.library(f"x/{name}", make.code("sm_80", *HOSTILE)) for name in HOSTILE),
            require="12.1",
        )
    )
    page = browser.new_page(java_script_enabled=False)
    page.goto(file.as_uri())
    # Nothing but the page's own elements: a name made none, and ended none.
    assert page.locator("img, b > script, table script").count() == 0
    assert page.locator(".plain tbody tr").count() == len(HOSTILE)
    assert "<img src=x onerror=window.owned=1>" in page.locator(".plain table").inner_text()
    page.close()
