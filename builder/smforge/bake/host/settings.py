"""The settings of the host that builds: certificates, network, caches, mirrors, a checkout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from smforge.bake.host.compiler_cache import store_settings
from smforge.bake.host.layer_caches import LayerCaches
from smforge.bake.inputs.checkout import version_of
from smforge.bake.inputs.origin import Origin
from smforge.errors import UsageError

CA_SETTING = "SMFORGE_CA_BUNDLE"
_CA_CUSTOMARY = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PIP_SETTING = "PIP_CONFIG_FILE"
NETWORK_SETTING = "BUILD_NETWORK"
HOST_NETWORK = "host"
DEFAULT_NETWORK = "default"
_PROXIES = {"PROXY_HTTP": "http_proxy", "PROXY_HTTPS": "https_proxy", "PROXY_NONE": "no_proxy"}
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
    caches: LayerCaches = field(default_factory=LayerCaches)
    """Of CACHE_FROM and CACHE_TO."""
    sources_mirror: Path | None = None
    """A directory with the sources of other projects, for a site that cannot reach theirs."""
    checkout: Path | None = None
    """A checkout of vLLM that is built instead of the matrix's release."""
    proxies: tuple[tuple[str, str], ...] = ()
    """PROXY_HTTP, PROXY_HTTPS and PROXY_NONE of the bake file, those that are set. They may hold
    credentials: `step_proxies` has what steps may be given."""
    compile_store: Path | None = None
    """sccache's settings for the store that machines share compilations through; a secret."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> HostSettings:
        """Read SMFORGE_CA_BUNDLE (else what the host's own tools use), PIP_CONFIG_FILE of pip,
        BUILD_NETWORK, CACHE_FROM, CACHE_TO, SMFORGE_SOURCES_MIRROR, VLLM_SOURCE, SMFORGE_SCCACHE,
        and the proxies: http_proxy, https_proxy and no_proxy, or the same in capitals.

        Raises `UsageError` when SMFORGE_CA_BUNDLE names no file, SMFORGE_SOURCES_MIRROR or
        VLLM_SOURCE no directory, or SMFORGE_SCCACHE, CACHE_FROM or CACHE_TO no settings that can
        work; set but empty, they mean none.
        """
        return cls(
            ca_bundle=_ca_bundle(environment),
            network=environment.get(NETWORK_SETTING) or DEFAULT_NETWORK,
            pip_config=_existing(environment.get(_PIP_SETTING)),
            caches=LayerCaches.from_environment(environment),
            sources_mirror=_directory(
                environment, SOURCES_SETTING, "the sources' archives and repositories"
            ),
            checkout=_directory(environment, CHECKOUT_SETTING, "a checkout of vLLM"),
            proxies=tuple(
                (variable, value)
                for variable, name in _PROXIES.items()
                if (value := environment.get(name) or environment.get(name.upper()))
            ),
            compile_store=store_settings(environment),
        )

    @property
    def checkouts(self) -> dict[str, Path]:
        """The trees that are built instead of releases, by component."""
        return {} if self.checkout is None else {"vllm": self.checkout}

    @property
    def versions(self) -> Mapping[str, str]:
        """The versions of these trees, each counted when it is asked for.

        Asking raises `UsageError` where a version cannot be counted.
        """
        return _Versions(self.checkouts)

    @property
    def step_proxies(self) -> dict[str, str]:
        """The proxies for the steps of a build.

        Raises `UsageError` for a proxy with credentials, which an image's provenance would show.
        """
        for variable, value in self.proxies:
            if variable != "PROXY_NONE" and "@" in value:
                raise UsageError(
                    f"{_PROXIES[variable]} holds credentials, and the provenance of an image would "
                    "show them.",
                    remedy="For a build, name a proxy that needs none, or set the variable empty.",
                )
        return dict(self.proxies)

    @property
    def bake_variables(self) -> dict[str, str]:
        """The variables of docker-bake.hcl that this host gives to every bake call.

        Raises as `step_proxies` does.
        """
        return {
            **self.step_proxies,
            "CA_BUNDLE": str(self.ca_bundle or ""),
            "PIP_CONFIG": str(self.pip_config or ""),
            NETWORK_SETTING: self.network,
        }

    @property
    def lent(self) -> tuple[Path, ...]:
        """The host's files that steps are given as secrets."""
        files = (self.ca_bundle, self.pip_config, self.compile_store)
        return tuple(path for path in files if path is not None)

    @property
    def needs_host_network(self) -> bool:
        """Whether steps use the network of the host, which bake has to be allowed to give them."""
        return self.network == HOST_NETWORK

    @property
    def origin(self) -> Origin:
        """Where the sources of other projects come from."""
        return self.origin_for(None)

    def origin_for(self, project: Path | None) -> Origin:
        """The same, for a matrix in the directory `project`."""
        return Origin(self.sources_mirror, self.ca_bundle, project)


class _Versions(Mapping[str, str]):
    """The versions of trees by component; a plan without the component needs none."""

    def __init__(self, trees: Mapping[str, Path]) -> None:
        self._trees = trees

    def __getitem__(self, name: str) -> str:
        return version_of(self._trees[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._trees)

    def __len__(self) -> int:
        return len(self._trees)


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
