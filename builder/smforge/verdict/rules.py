"""The rules of an audit: id, level and meaning of each kind of finding.

A check (`smforge.verdict.checks`) yields findings; each finding belongs to a rule. docs/rules.md
describes every rule, which a test proves.
"""

from __future__ import annotations

from smforge.findings import Level, Rule

DEVICE_MISSING = Rule(
    "device-missing",
    Level.ERROR,
    "Nothing in a library, or in the whole subject, can run on a required device.",
)
KERNELS_MISSING = Rule(
    "kernels-missing",
    Level.ERROR,
    "A library runs on a required device, but some of its kernels cannot.",
)
VARIABLES_MISSING = Rule(
    "variables-missing",
    Level.ERROR,
    "A unit without kernels has device variables for the host, and no code for a required device.",
    undetermined=True,
)
DEVICE_PTX_ONLY = Rule(
    "device-ptx-only",
    Level.WARNING,
    "Kernels of a library reach a required device only as PTX, which the driver must assemble.",
)
DEVICE_FOREIGN = Rule(
    "device-foreign",
    Level.NOTE,
    "A library holds only code specialised for other devices than a required one.",
)
ALTERNATIVE_CODE = Rule(
    "alternative-code",
    Level.NOTE,
    "Kernels cannot run from this code; other code, from which a program chooses, has them.",
)
DEVICE_SIBLING = Rule(
    "device-sibling",
    Level.WARNING,
    "Kernels of a library are a or f code for devices related to a required one, not for it.",
)
TARGET_MISSING = Rule(
    "target-missing", Level.ERROR, "No library embeds code for a required target."
)
TARGET_ABSENT = Rule(
    "target-absent",
    Level.NOTE,
    "A library does not embed a required target, whether other libraries do or not.",
)
EXPECTED_NOT_EMBEDDED = Rule(
    "expected-not-embedded",
    Level.ERROR,
    "The embedded code differs from what preflight predicted for the sources.",
)
EXPECTED_UNREAD = Rule(
    "expected-unread",
    Level.ERROR,
    "A prediction was given, and kernel names, which are needed to compare with it, were not read.",
    undetermined=True,
)
PTX_NEWER_THAN_DRIVER = Rule(
    "ptx-newer-than-driver",
    Level.ERROR,
    "Kernels reach a required device only as PTX that is newer than the driver can assemble.",
)
PTX_DRIVER_UNKNOWN = Rule(
    "ptx-driver-unknown",
    Level.ERROR,
    "Kernels reach a required device only as PTX, and it is not known whether the driver reads it.",
    undetermined=True,
)
DRIVER_TOO_OLD = Rule(
    "driver-too-old",
    Level.ERROR,
    "Machine code for a required device, or a needed library, is of a CUDA major version that is "
    "newer than the driver.",
)
DRIVER_UNCHECKED = Rule(
    "driver-unchecked",
    Level.ERROR,
    "A driver was given, and it is not known which CUDA release the machine code comes from.",
    undetermined=True,
)
PICK_UNKNOWN = Rule(
    "pick-unknown",
    Level.ERROR,
    "Whether kernels run on a required device depends on which code object the driver picks.",
    undetermined=True,
)
SUFFIX_UNKNOWN = Rule(
    "suffix-unknown",
    Level.ERROR,
    "A cubin does not record whether it is plain, a or f code, and the answer depends on it.",
    undetermined=True,
)
JIT_ASSEMBLER_TOO_OLD = Rule(
    "jit-assembler-too-old",
    Level.ERROR,
    "The assembler that a JIT compiler uses on a required device does not know its target.",
)
JIT_ASSEMBLER_REFUSED = Rule(
    "jit-assembler-refused",
    Level.ERROR,
    "A JIT compiler cannot use the assembler's CUDA release on a required device.",
)
JIT_ASSEMBLER_UNREAD = Rule(
    "jit-assembler-unread",
    Level.ERROR,
    "An assembler that a JIT compiler uses could not be asked which targets it knows.",
    undetermined=True,
)
JIT_ASSEMBLER = Rule(
    "jit-assembler",
    Level.NOTE,
    "An assembler that the subject brings for code compiled on the device, and what it knows.",
)
JIT_COMPILER = Rule(
    "jit-compiler",
    Level.NOTE,
    "Which of NVRTC and nvJitLink the subject brings for code that is compiled on the device.",
)
CUDART_MISMATCH = Rule(
    "cudart-mismatch",
    Level.WARNING,
    "A file needs a library of CUDA that is not there, or files need different major versions.",
)
MACHINE_MISMATCH = Rule(
    "machine-mismatch",
    Level.ERROR,
    "A library is for another CPU than the wheel or image that holds it.",
)
HOST_DIFFERS = Rule(
    "host-differs",
    Level.NOTE,
    "A required device is in machines with another CPU than the subject is for.",
)
DEVICE_LINK_MISSING = Rule(
    "device-link-missing",
    Level.ERROR,
    "Relocatable GPU code of a library was never linked for the device, so it cannot be loaded.",
)
CUDA_AT_IMPORT = Rule(
    "cuda-at-import",
    Level.ERROR,
    "Importing a model touches CUDA, so vLLM cannot inspect it in a process without a GPU.",
)
MODEL_NOT_IMPORTABLE = Rule(
    "model-not-importable", Level.ERROR, "A model of vLLM's registry cannot be imported."
)
MODEL_PACKAGE_ABSENT = Rule(
    "model-package-absent",
    Level.NOTE,
    "A model needs a package that vLLM does not require and that is not installed.",
)
MODEL_NEEDS_GPU = Rule(
    "model-needs-gpu",
    Level.NOTE,
    "A model needs names that vLLM defines only with a driver; with a stand-in it is importable.",
)
MODEL_NEEDS_EXTENSION = Rule(
    "model-needs-extension",
    Level.WARNING,
    "A model needs a compiled extension that this part of vLLM was built without.",
)
EXTENSION_NOT_LOADABLE = Rule(
    "extension-not-loadable",
    Level.ERROR,
    "The dynamic loader refuses a library for another reason than the missing driver.",
)
EXTENSION_NEEDS_DRIVER = Rule(
    "extension-needs-driver",
    Level.NOTE,
    "Libraries need the driver, which a builder lacks; the finding says what was examined.",
)
EXTENSION_UNUSED = Rule(
    "extension-unused",
    Level.NOTE,
    "A library that cannot be loaded is one of several builds, of which another one is used.",
)
JIT_ASSEMBLER_FAILS = Rule(
    "jit-assembler-fails",
    Level.ERROR,
    "The assembler that Triton chooses for a required device was run and did not assemble for it.",
)
KERNELS_NOT_FOUND = Rule(
    "kernels-not-found",
    Level.ERROR,
    "FlashInfer does not start for a required device, or does not find its compiled kernels.",
)
SERVER_NOT_USABLE = Rule(
    "server-not-usable",
    Level.ERROR,
    "vLLM's command or its server fails for another reason than the missing GPU.",
)
FLASHINFER_IN_PART = Rule(
    "flashinfer-in-part",
    Level.WARNING,
    "vLLM would call FlashInfer's kernels that are not compiled, or calls none although some are.",
)
PROBE_FAILED = Rule(
    "probe-failed",
    Level.ERROR,
    "A check that runs programs of the subject was not completed.",
    undetermined=True,
)
PROBED = Rule("probed", Level.NOTE, "Programs of the subject were run, without a GPU.")
SUBJECT_UNREAD = Rule(
    "subject-unread",
    Level.ERROR,
    "A subject could not be read, so its content is not known.",
    undetermined=True,
)
DEVICE_NOT_KEPT = Rule(
    "device-not-kept",
    Level.ERROR,
    "smforge took code out of this copy, and a required device is not one that it was kept for.",
    undetermined=True,
)
DAMAGED_CODE_OBJECT = Rule(
    "damaged-code-object",
    Level.ERROR,
    "A part of the subject is damaged or was not read, so its content is not known.",
    undetermined=True,
)
RECORD_DIFFERS = Rule(
    "record-differs",
    Level.WARNING,
    "A package lists a library that is missing, or that is another one than listed.",
    undetermined=True,
)
HEADER_PAYLOAD_MISMATCH = Rule(
    "header-payload-mismatch",
    Level.ERROR,
    "The header of a fatbin entry names another target or PTX version than its payload.",
)
BACKEND_DISAGREEMENT = Rule(
    "backend-disagreement",
    Level.ERROR,
    "The native reader and cuobjdump found different code, so neither result is trusted.",
    undetermined=True,
)
CUOBJDUMP_FAILED = Rule(
    "cuobjdump-failed",
    Level.ERROR,
    "cuobjdump should confirm a file and could not read it.",
    undetermined=True,
)
NAMES_UNREAD = Rule(
    "names-unread",
    Level.NOTE,
    "Kernel names were not read, so the kernels of each code object were not compared.",
)
REGIONS_UNKNOWN = Rule(
    "regions-unknown",
    Level.NOTE,
    "cuobjdump does not show which translation unit code belongs to, so two kernels of one name in "
    "one file may count as one.",
)
FAMILIES_UNTOLD = Rule(
    "families-untold",
    Level.WARNING,
    "The cuobjdump in use is older than family-specific code and prints no suffix f.",
)
UNSEEN_CODE = Rule(
    "unseen-code",
    Level.NOTE,
    "A library has GPU code outside the sections that cuobjdump reads.",
)
CODE_AMONG_DATA = Rule(
    "code-among-data",
    Level.WARNING,
    "A library has cubins or PTX among its data, and it is not known which its program loads.",
    undetermined=True,
)
UNJUDGED_CODE = Rule(
    "unjudged-code",
    Level.WARNING,
    "A file has GPU code without a kernel that could be judged, such as LTO-IR.",
    undetermined=True,
)
EXCEPTION_UNUSED = Rule("exception-unused", Level.NOTE, "An entry of a policy excused nothing.")
EXCEPTION_EXPIRED = Rule(
    "exception-expired", Level.WARNING, "An entry of a policy has expired and is not applied."
)

RULES: tuple[Rule, ...] = (
    DEVICE_MISSING,
    KERNELS_MISSING,
    VARIABLES_MISSING,
    DEVICE_PTX_ONLY,
    DEVICE_FOREIGN,
    ALTERNATIVE_CODE,
    DEVICE_SIBLING,
    TARGET_MISSING,
    TARGET_ABSENT,
    EXPECTED_NOT_EMBEDDED,
    EXPECTED_UNREAD,
    PTX_NEWER_THAN_DRIVER,
    PTX_DRIVER_UNKNOWN,
    DRIVER_TOO_OLD,
    DRIVER_UNCHECKED,
    PICK_UNKNOWN,
    SUFFIX_UNKNOWN,
    JIT_ASSEMBLER_TOO_OLD,
    JIT_ASSEMBLER_REFUSED,
    JIT_ASSEMBLER_UNREAD,
    JIT_ASSEMBLER,
    JIT_COMPILER,
    CUDART_MISMATCH,
    MACHINE_MISMATCH,
    HOST_DIFFERS,
    DEVICE_LINK_MISSING,
    CUDA_AT_IMPORT,
    MODEL_NOT_IMPORTABLE,
    MODEL_PACKAGE_ABSENT,
    MODEL_NEEDS_GPU,
    MODEL_NEEDS_EXTENSION,
    EXTENSION_NOT_LOADABLE,
    EXTENSION_NEEDS_DRIVER,
    EXTENSION_UNUSED,
    JIT_ASSEMBLER_FAILS,
    KERNELS_NOT_FOUND,
    SERVER_NOT_USABLE,
    FLASHINFER_IN_PART,
    PROBE_FAILED,
    PROBED,
    SUBJECT_UNREAD,
    DEVICE_NOT_KEPT,
    DAMAGED_CODE_OBJECT,
    RECORD_DIFFERS,
    HEADER_PAYLOAD_MISMATCH,
    BACKEND_DISAGREEMENT,
    CUOBJDUMP_FAILED,
    NAMES_UNREAD,
    REGIONS_UNKNOWN,
    FAMILIES_UNTOLD,
    UNSEEN_CODE,
    CODE_AMONG_DATA,
    UNJUDGED_CODE,
    EXCEPTION_UNUSED,
    EXCEPTION_EXPIRED,
)
"""In the order of docs/rules.md; SARIF refers to them by position."""

RULE_BY_ID = {rule.id: rule for rule in RULES}
