"""Answers ``import cutlass_library`` for source generators where no CUTLASS checkout is given.

Generators take type and schedule names from CUTLASS's Python library and write them into sources.
Names decide which files are generated; what is written into them is not compiled here, so the C++
spellings are left at the names. With ``--external cutlass=DIR`` the real library is found first.
"""

import enum
from enum import auto as enum_auto

_BITS = {
    "void": 0,
    "b1": 1,
    "u2": 2,
    "u4": 4,
    "u8": 8,
    "u16": 16,
    "u32": 32,
    "u64": 64,
    "s2": 2,
    "s4": 4,
    "s8": 8,
    "s16": 16,
    "s32": 32,
    "s64": 64,
    "e4m3": 8,
    "e5m2": 8,
    "f8": 8,
    "f6": 6,
    "f4": 4,
    "e3m2": 6,
    "e2m3": 6,
    "e2m1": 4,
    "ue8m0": 8,
    "ue4m3": 8,
    "f16": 16,
    "bf16": 16,
    "f32": 32,
    "tf32": 32,
    "f64": 64,
}

DataType = enum.Enum("DataType", list(_BITS))  # type: ignore[misc]
DataTypeNames = {member: member.name for member in DataType}
DataTypeTag = dict(DataTypeNames)
DataTypeSize = {member: _BITS[member.name] for member in DataType}


class KernelScheduleType(enum.Enum):
    ScheduleAuto = enum_auto()
    TmaWarpSpecialized = enum_auto()
    TmaWarpSpecializedPingpong = enum_auto()
    TmaWarpSpecializedCooperative = enum_auto()


class EpilogueScheduleType(enum.Enum):
    ScheduleAuto = enum_auto()
    NoSmemWarpSpecialized = enum_auto()
    TmaWarpSpecialized = enum_auto()
    TmaWarpSpecializedCooperative = enum_auto()


class TileSchedulerType(enum.Enum):
    Default = enum_auto()
    Persistent = enum_auto()
    StreamK = enum_auto()


KernelScheduleTag = {member: member.name for member in KernelScheduleType}
EpilogueScheduleTag = {member: member.name for member in EpilogueScheduleType}
TileSchedulerTag = {member: member.name for member in TileSchedulerType}
