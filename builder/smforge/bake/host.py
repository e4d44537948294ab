"""What the host adds to a cell's variables: job limits, its CA bundle, its network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from smforge.bake.cell_paths import CellPlaces
from smforge.bake.checkout import revision_of
from smforge.bake.command import BakeCall
from smforge.bake.compiler_cache import BUCKET_SETTING, bucket_settings
from smforge.bake.crossing import Crossing
from smforge.bake.externals import directory_of, externals_of
from smforge.bake.limits import JobLimits
from smforge.bake.origin import Origin
from smforge.bake.rootfs import Rootfs
from smforge.errors import UsageError
from smforge.plan.records import Cell

CA_SETTING = "SMFORGE_CA_BUNDLE"
_CA_CUSTOMARY = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PIP_SETTING = "PIP_CONFIG_FILE"
NETWORK_SETTING = "BUILD_NETWORK"
HOST_NETWORK = "host"
_CACHE_SETTINGS = ("CACHE_FROM", "CACHE_TO")
SOURCES_SETTING = "SMFORGE_SOURCES_MIRROR"
CHECKOUT_SETTING = "VLLM_SOURCE"


@dataclass(frozen=True, slots=True)
class HostSettings:
    """The same for every cell that is built here."""

    ca_bundle: Path | None
    """Certificates that steps trust for their downloads; None for those of their image."""
    network: str
    """``default``, or ``host`` where an engine has no other way out."""
    pip_config: Path | None = None
    """A pip.conf that steps use, where only a mirror is reachable."""
    caches: tuple[tuple[str, str], ...] = ()
    """CACHE_FROM and CACHE_TO of the bake file, those that are set."""
    sources_mirror: Path | None = None
    """A directory with the sources of other projects, for a site that cannot reach theirs."""
    checkout: Path | None = None
    """A checkout of vLLM that is built instead of the matrix's release."""
    bucket: Path | None = None
    """sccache's settings for the S3 bucket that machines share compilations through; a secret."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> HostSettings:
        """Read SMFORGE_CA_BUNDLE (else what the host's own tools are told), pip's PIP_CONFIG_FILE,
        BUILD_NETWORK, CACHE_FROM, CACHE_TO, SMFORGE_SOURCES_MIRROR, VLLM_SOURCE and
        SMFORGE_SCCACHE.

        Raises `UsageError` when SMFORGE_CA_BUNDLE names no file, SMFORGE_SOURCES_MIRROR or
        VLLM_SOURCE no directory, or SMFORGE_SCCACHE no settings that can work; set but empty, they
        mean none.
        """
        return cls(
            ca_bundle=_ca_bundle(environment),
            network=environment.get(NETWORK_SETTING) or "default",
            pip_config=_existing(environment.get(_PIP_SETTING)),
            caches=tuple(
                (name, value) for name in _CACHE_SETTINGS if (value := environment.get(name))
            ),
            sources_mirror=_directory(
                environment, SOURCES_SETTING, "the sources' archives and repositories"
            ),
            checkout=_directory(environment, CHECKOUT_SETTING, "a checkout of vLLM"),
            bucket=bucket_settings(environment),
        )

    @property
    def checkouts(self) -> dict[str, Path]:
        """The trees that are built instead of releases, by component."""
        return {} if self.checkout is None else {"vllm": self.checkout}

    @property
    def origin(self) -> Origin:
        """Where the sources of other projects come from."""
        return Origin(self.sources_mirror, self.ca_bundle)


def root_file_systems(cell: Cell, crossing: Crossing | None = None) -> dict[str, Rootfs]:
    """What a cell's base and image start from, by the variable that names the directory.

    Empty where the base is an image of a registry.
    """
    if cell.base.kind != "packages" or cell.base.suite is None:
        return {}
    # Debian and Docker name these CPUs alike.
    running = cell.platform.rpartition("/")[2]
    compiling = crossing.build_platform.rpartition("/")[2] if crossing else running
    devel = Rootfs(cell.base.suite, compiling, int(cell.variables["SOURCE_DATE_EPOCH"]))
    found = {"ROOTFS_DIR": devel}
    if cell.image is not None:
        found["RUNTIME_ROOTFS_DIR"] = replace(devel, architecture=running, purpose="runtime")
    return found


def bake_call(  # noqa: PLR0913, PLR0917  # the places where one call's settings come from
    cell: Cell,
    host: HostSettings,
    limits: JobLimits,
    places: CellPlaces,
    matrix: Path,
    rootfs_store: Path,
    sources_store: Path,
    crossing: Crossing | None,
) -> BakeCall:
    """The bake call of a cell on this host, everything resolved."""
    variables = {
        **cell.variables,
        **dict(host.caches),
        "OUT_DIR": str(places.staging),
        "REVISION": revision_of(matrix.resolve().parent) or "",
        "MAX_JOBS": str(limits.jobs),
        "NVCC_THREADS": str(limits.nvcc_threads),
        "CA_BUNDLE": str(host.ca_bundle or ""),
        "PIP_CONFIG": str(host.pip_config or ""),
        BUCKET_SETTING: str(host.bucket or ""),
        NETWORK_SETTING: host.network,
        "BUILD_PLATFORM": crossing.build_platform if crossing else "",
        "CROSS_CPU": crossing.cpu if crossing else "",
    }
    lent = (host.ca_bundle, host.pip_config, host.bucket)
    reads = [path for path in lent if path is not None]
    for variable, rootfs in root_file_systems(cell, crossing).items():
        directory = rootfs_store / rootfs.directory_name
        variables[variable] = str(directory)
        reads.append(directory)
    if externals := externals_of(cell):
        directory = directory_of(externals, sources_store)
        variables["EXTERNALS_DIR"] = str(directory)
        reads.append(directory)
    if host.checkout is not None:
        variables[CHECKOUT_SETTING] = str(host.checkout)
        reads.append(host.checkout)
    return BakeCall(
        root=matrix.resolve().parent,
        matrix=matrix.resolve(),
        override=places.override,
        metadata=places.metadata,
        targets=cell.targets,
        variables=variables,
        reads=tuple(reads),
        writes=(places.staging,),
        host_network=host.network == HOST_NETWORK,
    )


def _ca_bundle(environment: Mapping[str, str]) -> Path | None:
    asked = environment.get(CA_SETTING)
    if asked is not None:
        if asked and not Path(asked).is_file():
            raise UsageError(
                f"{CA_SETTING} names {asked}, which is no file.",
                remedy="Name a file of PEM certificates, or unset it.",
            )
        return Path(asked).resolve() if asked else None
    found = (_existing(environment.get(name)) for name in _CA_CUSTOMARY)
    return next((path for path in found if path is not None), None)


def _directory(environment: Mapping[str, str], setting: str, content: str) -> Path | None:
    asked = environment.get(setting)
    if not asked:
        return None
    if not Path(asked).is_dir():
        raise UsageError(
            f"{setting} names {asked}, which is no directory.",
            remedy=f"Name a directory with {content}, or unset it.",
        )
    return Path(asked).resolve()


def _existing(name: str | None) -> Path | None:
    return Path(name).resolve() if name and Path(name).is_file() else None
