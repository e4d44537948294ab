"""Stand-ins for what FlashInfer's own code imports: torch and a few more packages.

FlashInfer asks them for types and versions while it lists its modules and reads its arch list. So
nothing but the standard library and packaging is needed to run that code.
"""

import importlib
import importlib.abc
import importlib.machinery
import os
import sys
import types
from pathlib import Path
from typing import Any

from packaging.version import Version

STAND_INS = frozenset(
    {"torch", "tvm_ffi", "pynvml", "tqdm", "requests", "numpy", "cuda", "cutlass", "nvidia",
     "triton", "filelock", "einops", "tabulate"}
)  # fmt: skip
"""Packages that the generators import. Which modules there are does not depend on them."""

ITEM_SIZES = {
    "bool": 1, "uint8": 1, "int8": 1, "int16": 2, "int32": 4, "int64": 8, "uint16": 2, "uint32": 4,
    "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "float8_e4m3fn": 1, "float8_e5m2": 1,
    "float8_e8m0fnu": 1, "float4_e2m1fn_x2": 1, "half": 2, "float": 4, "double": 8, "int": 4,
    "long": 8,
}  # fmt: skip
"""torch's element types in bytes (torch 2.14)."""


class Artefact:
    """A file of NVIDIA's artefact server, which is there where FlashInfer is built, and unread."""


ARTEFACT_FUNCTIONS = {
    "get_artifact": lambda *_, **__: Artefact(),
    "get_meta_hash": lambda *_, **__: "0" * 64,
    "verify_symlinked_headers": lambda *_, **__: None,
    "write_filtered_metainfo": lambda *_, **__: None,
}
"""FlashInfer's functions that fetch, check and filter headers of precompiled kernels for 10.x. The
headers are for the compiler: modules, sources and flags do not depend on what is in them."""


class Anything:
    """Answers whatever is asked of it, so that definitions that mention it can be executed."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, name: str) -> "Anything":
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        found = Anything(f"{self.__name__}.{name}")
        # The same thing under the same name: torch.float16 is a dictionary key.
        setattr(self, name, found)
        return found

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        # A decorator gives back what it decorates.
        if len(arguments) == 1 and callable(arguments[0]) and not named:
            return arguments[0]
        return self

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (object,)

    def __getitem__(self, key: Any) -> "Anything":
        return self

    def __iter__(self) -> Any:
        return iter(())

    def __or__(self, other: Any) -> "Anything":
        return self

    __ror__ = __or__

    def __eq__(self, other: object) -> bool:
        # Annotations such as Union[Tensor, Generator] compare the classes that they name.
        if self is other or self.__name__.rpartition(".")[2][:1].isupper():
            return self is other
        return bool(self._undecided())

    def _undecided(self, *_: object) -> Any:
        raise TypeError(f"a decision depends on {self.__name__}, which is only stood in for")

    # A guessed answer would be a wrong list of modules; stopping is not.
    __bool__ = __lt__ = __le__ = __gt__ = __ge__ = _undecided
    __int__ = __index__ = __len__ = _undecided
    __hash__ = object.__hash__

    def __enter__(self) -> "Anything":
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def __repr__(self) -> str:
        return self.__name__


class DataType:
    """torch.dtype: the generators compare element types, and ask for their size in bytes."""

    def __init__(self, name: str, itemsize: int) -> None:
        self.name = name
        self.itemsize = itemsize
        self.is_floating_point = "float" in name

    def __repr__(self) -> str:
        return f"torch.{self.name}"


class StandIn(types.ModuleType):
    """A module with any attribute."""

    def __getattr__(self, name: str) -> Anything:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        found = Anything(f"{self.__name__}.{name}")
        setattr(self, name, found)
        return found


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports a stand-in for every module of the packages named above."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:  # noqa: ARG002
        if name.partition(".")[0] in STAND_INS:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        # Generators name directories of installed packages; nothing is looked for there.
        module.__path__ = [f"/not-installed/{module.__name__.replace('.', '/')}"]


def prepare(root: Path) -> None:
    """Make FlashInfer's package below `root` importable, with stand-ins for what it imports.

    SMFORGE_TORCH_VERSION and SMFORGE_CUDA_RELEASE say which torch is stood in for.
    SMFORGE_REAL_PACKAGES keeps the real packages.
    """
    if real_packages():
        _hide_package_initialisation(root)
        return
    _stand_in(os.environ["SMFORGE_TORCH_VERSION"], os.environ["SMFORGE_CUDA_RELEASE"])
    _hide_package_initialisation(root)


def real_packages() -> bool:
    """Whether the real packages are used, to compare with."""
    return "SMFORGE_REAL_PACKAGES" in os.environ


def _stand_in(torch_version: str, cuda: str) -> None:
    sys.meta_path.insert(0, Finder())
    torch: Any = importlib.import_module("torch")
    torch.__version__ = torch_version
    torch.version.cuda = cuda
    torch.version.__version__ = torch_version
    torch._C._GLIBCXX_USE_CXX11_ABI = 1
    torch.dtype = DataType
    for name in ("device", "layout"):  # classes, although their names do not look it
        setattr(torch, name, type(name, (), {}))
    for name, size in ITEM_SIZES.items():
        setattr(torch, name, DataType(name, size))
    # The host compiler of data/probe.json. FlashInfer gives it other options, nvcc none.
    extension: Any = importlib.import_module("torch.utils.cpp_extension")
    extension.get_cxx_compiler = lambda: "c++"
    extension.check_compiler_is_gcc = lambda _compiler: True
    versions: Any = importlib.import_module("torch.torch_version")
    versions.__version__ = torch_version
    versions.TorchVersion = Version


def stand_in_for_artefacts() -> None:
    """Put the functions above in the place of FlashInfer's, wherever they were imported to."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "flashinfer":
            for function, answer in ARTEFACT_FUNCTIONS.items():
                if callable(vars(module).get(function)):
                    setattr(module, function, answer)


def _hide_package_initialisation(root: Path) -> None:
    """Make ``flashinfer`` a package without its __init__, which imports every front end."""
    package = types.ModuleType("flashinfer")
    package.__path__ = [str(root / "flashinfer")]
    package.__file__ = str(root / "flashinfer" / "__init__.py")
    sys.modules["flashinfer"] = package
    sys.path.insert(0, str(root))
