"""A PTX file that was cut off is damage, wherever it was cut; a whole one never is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.errors import DamagedInputError
from smforge.inventory.formats.blob import BytesBlob
from smforge.inventory.formats.ptx_end import check_whole
from smforge.inventory.native.reader import read_file
from smforge.inventory.options import ReadOptions

HEAD = b"// Generated\n.version 9.0\n.target sm_90a, debug\n.address_size 64\n"
BODY = b"""\t// .globl k /* not a block
.visible .entry k(
\t.param .u64 k_param_0
)
.maxntid 128, 1, 1
{
\t.pragma "nounroll { // ";
\tmov.b64 \t{%r1, %r2}, %rd3; /* of two {
lines */
\tret;
}
"""
TAIL = (
    b'.file\t1 "/a/{b.cu", 1795305600, 12\n.section\t.debug_str\n{\n.b8 1,2\n}\n@@DWARF .byte 1\n'
)
WHOLE = HEAD + b".global .align 4 .b8 name[4] = {1, 2, 3, 0};\n" + BODY + BODY + TAIL


def is_whole(text: bytes, size: int = 1 << 20) -> bool:
    try:
        check_whole(text[at : at + size] for at in range(0, len(text), size))
    except DamagedInputError:
        return False
    return True


@pytest.mark.parametrize(
    "text",
    [
        HEAD,
        HEAD + BODY,
        WHOLE,
        WHOLE.rstrip(b"\n"),
        WHOLE + b"\0",
        WHOLE + bytes(4096) + b"\n",
        HEAD + b".extern .func (.param .b32 r) vprintf (.param .b64 a);\n",
        WHOLE.replace(b"\n", b"\r\n"),
        HEAD + BODY + b"// the last line, without its end",
    ],
)
def test_whole_texts(text: bytes) -> None:
    assert all(is_whole(text, size) for size in (1 << 20, 64, 7))


@given(st.integers(len(HEAD), len(WHOLE)), st.sampled_from([1 << 20, 16]))
def test_a_text_is_whole_only_up_to_the_end_of_a_statement(end: int, size: int) -> None:
    cut = WHOLE[:end]
    plain = re.sub(rb'//[^\n]*|/\*.*?\*/|"[^"\n]*"', b"", cut, flags=re.DOTALL).strip()
    within = plain.count(b"{") > plain.count(b"}")
    ended = plain.endswith((b";", b"}"))
    assert not (is_whole(cut, size) and within)
    if ended and not within and b"/*" not in plain:
        assert is_whole(cut, size)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (WHOLE[: WHOLE.rindex(b"ret;") + 4], "within the body"),
        (HEAD + BODY[: BODY.index(b")")], "within a statement"),
        (HEAD + BODY + b".visible .entry", "within a statement"),
        (HEAD + BODY + b".visib", "within a statement"),
        (HEAD + BODY[: BODY.index(b"lines */")], "within a comment"),
        (HEAD + BODY + b'.file 1 "/a/b', "string that is not closed"),
        (HEAD + BODY.replace(b"{\n\t.pragma", b"\n\t.pragma", 1), "did not open"),
        (HEAD + BODY.replace(b"ret;", bytes(64)), "zero bytes"),
    ],
)
@pytest.mark.parametrize("names", [True, False])
def test_a_file_that_is_not_whole_is_damage(text: bytes, why: str, names: bool) -> None:
    found = read_file("k.ptx", BytesBlob(text), ReadOptions()._replace(names=names))
    assert found is not None
    assert found.regions == ()
    assert [why in damage.message for damage in found.damage] == [True]


@pytest.mark.parametrize(
    ("name", "before", "damaged"),
    [("k.ptx", b"text = '''", True), ("k", b"", True), ("k.py", b"# x\ntext = '''", False)],
)
def test_a_text_in_the_source_of_a_program_need_not_be_whole(
    name: str, before: bytes, damaged: bool
) -> None:
    """As in numba's test_cuda_driver.py: the program goes on where the text has ended."""
    source = before + b"\n" + HEAD + BODY + b"'''\nclass Test(Case):\n    def run(self): {"
    found = read_file(name, BytesBlob(source), ReadOptions())
    assert found is not None
    assert bool(found.damage) is damaged
    assert bool(found.regions) is not damaged


@pytest.mark.parametrize(
    "part", [b" ", b".loc 1 ", b"@@DWARF ", b'""', b".target a, ", b"// ", b"/*", b".file 1 "]
)
def test_no_rest_is_read_by_more_than_its_length(part: bytes) -> None:
    """Where the expression for the rest could divide a line in two ways, this took years."""
    assert not is_whole(HEAD + part * 5000 + b"\n.entry")


@pytest.mark.toolchain
@pytest.mark.parametrize("flags", [(), ("-lineinfo",), ("-G",)])
def test_what_nvcc_writes_is_whole_and_damage_when_it_is_cut(samples, flags) -> None:
    text = samples.compile("kernels.ptx", "-ptx", "-arch=compute_90a", *flags).read_bytes()
    assert is_whole(text)
    bodies = [found.start() for found in re.finditer(rb"\n\tret;", text)]
    assert bodies
    assert not any(is_whole(text[:at]) for at in bodies)
