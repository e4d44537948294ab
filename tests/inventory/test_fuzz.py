"""Hostile bytes from a fixed seed: whatever is changed in a valid file, the readers say damage.

`make fuzz` does the same for longer, guided by coverage.
"""

from __future__ import annotations

import random
import time

import pytest

from benchmarks import seeds
from benchmarks.exercise import exercise

ROUNDS = 150
INTERESTING = [b"\0", b"\xff", b"\x7f\xff\xff\xff", b"\xff" * 8, bytes(8), b"\0\0\0\x80"]


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Change a few places of `data`: bytes, lengths, order, end."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(6):
            case 0:
                changed[at : at + 1] = chance.randbytes(1)
            case 1:
                part = chance.choice(INTERESTING)
                changed[at : at + len(part)] = part
            case 2:
                del changed[at:]
            case 3:
                del changed[at : at + chance.randint(1, 64)]
            case 4:
                other = chance.randrange(len(changed) + 1)
                changed[at:at] = changed[other : other + chance.randint(1, 256)]
            case _:
                at = min(at, chance.randrange(1, 128))
                changed[at : at + 1] = chance.randbytes(1)
    return bytes(changed)


def attack(data: bytes, name: str) -> None:
    exercise(data)
    chance = random.Random(name)
    for _ in range(ROUNDS):
        mutant = mutate(data, chance)
        started = time.process_time()
        exercise(mutant)
        # Far from what an input takes: this catches loops, not slow machines.
        assert time.process_time() - started < 20


@pytest.mark.parametrize("number", range(len(list(seeds.handmade()))))
def test_handmade_files(number):
    attack(list(seeds.handmade())[number], f"handmade {number}")


@pytest.mark.toolchain
@pytest.mark.parametrize("mode", ["none", "speed", "size"])
def test_object_files_of_nvcc(samples, mode):
    attack(samples.packed(mode).read_bytes(), mode)


@pytest.mark.toolchain
@pytest.mark.parametrize("target", ["sm_75", "sm_120f"])
def test_cubins_of_nvcc(samples, target):
    attack(samples.cubin(target).read_bytes(), target)


@pytest.mark.toolchain
def test_cubins_with_functions_that_are_no_kernels(samples):
    data = samples.compile("rdc.cubin", "-cubin", "-rdc=true", "-arch=sm_90a").read_bytes()
    attack(data, "rdc")
