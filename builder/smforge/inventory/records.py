"""The records of an inventory: files, regions and code objects, as found, without judgement."""

# Not postponed: NamedTuple compiles every annotation that is, and that shows at the start.
from enum import StrEnum
from typing import NamedTuple, Self

from smforge.arch.target import Target


class Kind(StrEnum):
    """The form of a code object (the kind field of a fatbin entry)."""

    CUBIN = "cubin"
    PTX = "ptx"
    OLD_CUBIN = "old-cubin"
    LTO_IR = "lto-ir"
    INDEX = "index"
    RELOCATABLE_PTX = "relocatable-ptx"
    TILE_IR = "tile-ir"
    CONCATENATED = "concatenated"
    UNKNOWN = "unknown"


RUNNABLE = frozenset({Kind.CUBIN, Kind.OLD_CUBIN, Kind.PTX})
"""The forms that the driver loads directly. LTO-IR and the like need another linker or compiler
first.
"""


class Compression(StrEnum):
    """How a fatbin entry stores its payload."""

    NONE = "none"
    ZLIB = "zlib"
    LZ4 = "lz4"
    ZSTD = "zstd"


class Origin(StrEnum):
    """Where in a file a region was found, which decides whether the runtime registers it."""

    FATBIN = "fatbin"
    """The ``.nv_fatbin`` section: what the runtime registers and cuobjdump lists."""
    RELOCATABLE = "relocatable"
    """The ``__nv_relfatbin`` section: input of the device linker."""
    RAW = "raw"
    """A file that is itself a cubin or a PTX text."""
    EMBEDDED = "embedded"
    """A fatbin outside those sections, found by its magic; cuobjdump does not see it."""
    DATA = "data"
    """A cubin or a PTX text among the data of a host file, one per region. A program loads it
    through the driver API; nothing registers it, and the file does not show which of several it
    loads.
    """


class CodeObject(NamedTuple):
    """One fatbin entry or one raw cubin."""

    kind: Kind
    target: Target
    stored_bytes: int
    ptx_isa: str | None = None
    """The ``.version`` of PTX, for example ``9.0``."""
    toolkit: str | None = None
    """The CUDA release that produced it, where the object says so: ``13.0``."""
    compression: Compression = Compression.NONE
    kernels: tuple[str, ...] | None = None
    """Mangled entry names, sorted. None when names were not asked for, where they cannot be
    known (LTO-IR, a damaged payload), and for relocatable code if the file has the code linked
    from it.
    """
    contradicted: str | None = None
    """What the header of the fatbin entry says where the payload says something else, such as
    ``sm_121``. The payload decides `target` and `ptx_isa`."""


class Region(NamedTuple):
    """One fatbin, which is what one translation unit registers with the runtime."""

    origin: Origin
    section: str
    offset: int
    """Bytes from the start of the file."""
    objects: tuple[CodeObject, ...]
    source: str | None = None
    """The translation unit's file name, where the symbols carry it."""
    member: str = ""
    """The member's name within a static archive."""
    unregistered: frozenset[str] = frozenset()
    """The kernels that no host code can launch: a pass of the compiler for some targets left them.
    Each is ordinary code of at least one object and absent from another one, and its name does not
    stand, ended by a NUL, in the host file outside its GPU code. Filled in only where that proves
    it: for regions that nvcc's wrapper registers and whose other kernels all have their name there.
    Empty where names were not read, and from cuobjdump."""
    variables: frozenset[str] = frozenset()
    """The device variables that the host registers, where no object of the region has a kernel:
    then only the host can use them. Empty for regions with kernels, where names were not read, and
    from cuobjdump."""
    loaded_by_program: bool = False
    """Whether nothing registers it, so that a program that uses it loads it itself, and may choose
    among several. Filled in for fatbins outside nvcc's sections; files and data that are code
    themselves are always loaded so."""


class Damage(NamedTuple):
    """A place that contradicts its format: its content is not known."""

    path: str
    message: str
    offset: int | None = None


class FileInventory(NamedTuple):
    """The GPU code of one file."""

    path: str
    """Relative to the subject, with forward slashes."""
    size: int
    sha256: str | None
    """None where digests were not asked for (the fastest audits leave them out)."""
    regions: tuple[Region, ...]
    needed: tuple[str, ...] = ()
    """The shared libraries it asks the loader for (DT_NEEDED)."""
    machine: str | None = None
    """The CPU the file is for: ``x86_64``, ``aarch64``; None for raw GPU code."""
    damage: tuple[Damage, ...] = ()
    unlinked: tuple[str, ...] = ()
    """The translation units whose relocatable code was never linked for the device."""

    @property
    def counted_regions(self) -> tuple[Region, ...]:
        """The regions whose code is loaded as it is.

        Relocatable code is the device linker's input: where the file (or the member of a static
        archive) has linked code too, that is what the runtime loads, and what cuobjdump lists. Code
        among the data of a host file is loaded by what its program decides.
        """
        linked = {region.member for region in self.regions if region.origin is Origin.FATBIN}
        return tuple(
            region
            for region in self.regions
            if region.origin is not Origin.DATA
            and (region.origin is not Origin.RELOCATABLE or region.member not in linked)
        )

    def at(self, path: str) -> Self:
        """Give the same file, found at another path."""
        damage = tuple(item._replace(path=path) for item in self.damage)
        return self._replace(path=path, damage=damage)


class SubjectKind(StrEnum):
    """What was audited."""

    WHEEL = "wheel"
    ARCHIVE = "archive"
    """Any other archive file: a zip, a tar, a conda or Debian package."""
    TREE = "tree"
    FILE = "file"
    IMAGE = "image"


class ImageConfiguration(NamedTuple):
    """The settings of an image for the containers that run it."""

    digest: str
    """``sha256:…`` of the configuration: the same for every way an image is stored or sent."""
    environment: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    working_directory: str = "/"
    user: str = ""


class Subject(NamedTuple):
    """The identity of what was audited."""

    kind: SubjectKind
    name: str
    digest: str | None
    """``sha256:…`` of the file or image manifest; for a tree, of the sorted lines ``sha256  path``
    of its files with GPU code. None where digests were not asked for."""
    platform: str | None = None
    """``linux/amd64`` where the subject says so."""
    configuration: ImageConfiguration | None = None
    """Of an image only."""
    file: str | None = None
    """The name of the file, where `name` is that of a release or an address."""


class Inventory(NamedTuple):
    """Everything found in one subject. Files without GPU code are not listed."""

    subject: Subject
    files: tuple[FileInventory, ...]
    examined: int
    """How many files were looked at, those without GPU code included."""
    damage: tuple[Damage, ...] = ()
    """Damage of the subject itself; damage of a file is recorded with the file."""
