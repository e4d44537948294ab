"""PTX texts: header, entry names, and that the short way finds what the long way finds."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.errors import DamagedInputError, LimitExceededError
from smforge.inventory.formats import ptx

HEADER = b"\n\n\n.version 9.0\n.target sm_90a\n.address_size 64\n\n"
names = st.from_regex(r"[A-Za-z_$%][A-Za-z0-9_$]{0,20}", fullmatch=True)
body = st.lists(
    st.sampled_from(
        [
            "\tld.param.u64 \t%rd1, [k_param_0];\n",
            "\tcall.uni (retval0),\n\tvprintf,\n\t(param0,\n\tparam1\n\t);\n",
            "\t// begin inline asm\n",
            "\tmov.b64 {%r1, %r2}, %rd3;\n",
            "$L__BB0_2:\n",
            "\tret;\n",
            "\t.loc\t1 2 3\n",
        ]
    ),
    max_size=6,
).map("".join)


@st.composite
def compiled_texts(draw):
    """Texts as NVVM writes them, with the names of their kernels."""
    text = HEADER.decode()
    kernels = set()
    for name in draw(st.lists(names, max_size=5)):
        linkage = draw(st.sampled_from([".visible .entry", ".entry", ".weak .entry", ".func"]))
        parameters = draw(st.sampled_from(["()", "(\n\t.param .u64 k_param_0\n)"]))
        extra = draw(st.sampled_from(["", ".maxntid 128, 1, 1\n"]))
        text += f"{linkage} {name}{parameters}\n{extra}{{\n{draw(body)}\n}}\n\n"
        if linkage != ".func":
            kernels.add(name)
    return text.encode(), tuple(sorted(kernels))


MOST = 100
"""Kernels that these texts stay below."""


def cut(text: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(text[:size])
        text = text[size:]
    return [*pieces, text]


@given(compiled_texts(), st.lists(st.integers(0, 60), max_size=12))
def test_both_ways_find_every_kernel_however_the_text_is_cut(sample, sizes):
    text, kernels = sample

    assert ptx.generated_by_compiler(text)
    assert ptx.generated_entry_names(cut(text, sizes), MOST) == kernels
    assert ptx.entry_names(cut(text, sizes), MOST) == kernels


@pytest.mark.parametrize(
    ("text", "kernels"),
    [
        (b".entry bare\n{ ret; }\n", ("bare",)),
        (b".visible .entry spread\n(\n.param .u64 a)\n{ ret; }\n", ("spread",)),
        (b"// .entry commented(\n.entry real() { ret; }\n", ("real",)),
        (b"/* .entry block(\n.entry inside( */ .entry real() {ret;}", ("real",)),
        (b".entry one() {ret;} .entry two() {ret;}", ("one", "two")),
        (
            b".entry a() {} /* .entry b() {} */ .entry c() {} // .entry d()\n.entry e() {}",
            ("a", "c", "e"),
        ),
        (b".entry a() {}\n/* never closed\n.entry b() {}", ("a",)),
        (b"", ()),
    ],
)
def test_texts_written_by_hand(text, kernels):
    for size in range(1, 20):
        pieces = [text[i : i + size] for i in range(0, len(text), size)]
        assert ptx.entry_names(pieces, MOST) == kernels


@pytest.mark.parametrize(
    "text",
    [
        b".version 9.0\n.target sm_90, texmode_independent\n.address_size 64\n",
        b".version 9.0 .target sm_90\n.address_size 64\n",
        b".version 9.0\n/* x */\n.target sm_90\n.address_size 64\n",
    ],
)
def test_only_the_compilers_own_form_takes_the_short_way(text):
    assert not ptx.generated_by_compiler(text)


def test_a_header_behind_comments():
    text = b"// .version 1.0\n/*\n.target sm_10 */\n  .version 8.7\n.target sm_120f, debug\n"

    header = ptx.parse_header(text)
    assert (header.isa, header.target.compute) == ((8, 7), "compute_120f")


@pytest.mark.parametrize("text", [b"", b".version 9.0\n", b".target sm_90\n", b"\xff\xfe"])
def test_no_header(text):
    with pytest.raises(DamagedInputError):
        ptx.parse_header(text)


@pytest.mark.parametrize("read", [ptx.entry_names, ptx.generated_entry_names])
def test_too_many_kernels_are_refused(read):
    text = b"".join(b".entry k%d(\n" % number for number in range(20))
    assert len(read([text], 20)) == 20
    with pytest.raises(LimitExceededError, match="more than 19 kernels"):
        read([text], 19)


@pytest.mark.parametrize("filler", [b"(", b".entry ", b"/", b"/*", b"a", b"//("])
def test_a_line_that_does_not_end_is_not_read_by_the_square_of_its_length(filler, monkeypatch):
    """Each of these took hours, or all memory."""
    monkeypatch.setattr(ptx, "_MOST_TEXT", 4 << 20)
    pieces = [filler * ((256 << 10) // len(filler))] * 20
    with pytest.raises(LimitExceededError, match="belong together"):
        ptx.entry_names(pieces, MOST)
    with suppress(LimitExceededError):
        assert ptx.generated_entry_names(pieces, MOST) == ()


def test_a_line_in_many_pieces_keeps_its_comment():
    pieces = [b"// a(b)", b"c() .entry k", b"(\n.entry ", b"real(\n"]
    assert ptx.generated_entry_names(pieces, MOST) == ("real",)
    assert ptx.entry_names([*pieces, b";\n"], MOST) == ("real",)
