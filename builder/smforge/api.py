"""The Python API: what the commands audit, preflight and plan do, as functions.

A function returns a record or raises an error of `smforge.errors`, never both, and writes nothing
to the standard streams. A finding is no error: it stands in the result.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from smforge.arch.requirement import parse_requirements
from smforge.inventory.options import ReadOptions
from smforge.matrix.load import load
from smforge.plan.records import Plan
from smforge.plan.resolve import resolve
from smforge.policy.files import load_policy
from smforge.preflight.cache import Cache, default_directory
from smforge.preflight.records import Preflight
from smforge.preflight.run import Question
from smforge.preflight.run import preflight as answer
from smforge.report.build import report_of
from smforge.report.model import Report
from smforge.verdict.audit import audit as judge
from smforge.verdict.reading import Backend
from smforge.workflow.audit_request import request_of

Paths = Iterable[str | os.PathLike[str]]
Words = str | Iterable[str]


def audit(  # noqa: PLR0913 - as the flags of the command
    subject: str | os.PathLike[str],
    *,
    require: Words = (),
    driver: str | None = None,
    native: bool = False,
    policies: Paths = (),
    shipped_policies: bool = True,
    kernels: bool = False,
    backend: str = "native",
    platform: str | None = None,
) -> Report:
    """Read every code object of a subject and judge it: `smforge audit` as a function.

    `subject` is what the command takes: a wheel, folder, library or cubin, a release
    (``pypi:NAME==VERSION``), an address (``https://…``), ``image:REF``,
    ``oci:DIR``, ``archive:FILE.tar``, ``registry:HOST/NAME:TAG``. `require` names devices (compute
    capabilities: ``"12.1"``) and targets (``"12.0f"``, ``"sm_120"``) that must be covered, between
    spaces or one by one. `driver` is the version of the NVIDIA driver that it must run with. With
    `native` PTX does not count. `policies` are policy files; the shipped ones apply too, unless
    `shipped_policies` is false. `kernels` lists every kernel by name. `backend` is ``"native"``,
    ``"cuobjdump"`` or ``"both"``. `platform` chooses an image or a wheel of several:
    ``"linux/arm64"``.

    The report is the one that ``-o json`` writes, as records (`smforge.report.model`). Sizes are
    bytes, digests SHA-256. Its `verdict` is ``"pass"``, ``"fail"``, ``"nothing"`` (no GPU code) or
    ``"undetermined"``; only ``"pass"`` is a pass, and `nothing_required` says that nothing was
    asked.

    Raises `UsageError` where there is no such subject or word, `ConfigurationError` for a policy
    that is wrong, `DamagedInputError` for a subject that cannot be listed, and `ToolError` where
    cuobjdump, the engine or a registry is needed and fails.

    >>> report = smforge.audit(wheel, require="12.0 9.0")
    >>> report.verdict
    'fail'
    >>> report.devices["12.0"].verdict, report.devices["9.0"].verdict
    ('native', 'none')
    >>> [finding.rule for finding in report.findings if finding.level == "error"]
    ['device-missing']
    """
    request = request_of(
        words=_words(require),
        variant=None,
        config=None,
        driver=driver,
        native=native,
        allowed=(),
        policies=[Path(one) for one in policies],
        shipped=shipped_policies,
    )
    options = ReadOptions(platform=platform)
    verdict = judge(os.fspath(subject), request, Backend(backend), options)
    return report_of(verdict, kernels=kernels)


def preflight(  # noqa: PLR0913 - as the flags of the command
    source: str | os.PathLike[str],
    *,
    cuda: str,
    archs: str,
    require: Words = (),
    baselines: Sequence[str] = (),
    externals: Mapping[str, str | os.PathLike[str]] | None = None,
    policies: Paths = (),
    cache: str | os.PathLike[str] | None = None,
) -> Preflight:
    """Configure sources without a compiler and list what they compile: `smforge preflight`.

    `source` is an sdist (``.tar.gz``), a tree or a checkout of vLLM or FlashInfer; it is not
    changed. `cuda` is the CUDA release that compiles (``"13.0"``), `archs` the arch list in the
    grammar of the project's build (``"9.0 12.1a"``). `require` names the devices that must lose
    nothing and the targets that must come out; without it those of the list. `baselines` are lists
    to compare with, in place of those that smforge chooses. `externals` are checkouts
    of the projects that the build would fetch, by name. `policies` name sources that may be lost.
    Results are kept in `cache`, by default below the user's cache folder.

    The result's `configuration` has the units (a source and its targets), `findings` what is lost,
    and `outcome` is ``Outcome.PASS`` or ``Outcome.FAIL``. A first call takes seconds, one that is
    in the cache milliseconds.

    Raises `ArchitectureError` and `UsageError` for what cannot be asked, `DamagedInputError` for
    an archive that cannot be read, and `ToolError` where CMake or a generator fails.

    >>> result = smforge.preflight(vllm_sources, cuda="13.0", archs="12.1a", cache=cache)
    >>> result.outcome.value
    'fail'
    >>> lost = next(finding for finding in result.findings if finding.rule == "source-lost")
    >>> lost.sources
    ('csrc/fp4.cu',)
    """
    requirements = parse_requirements(_words(require))
    question = Question(
        source=Path(source),
        cuda=cuda,
        archs=archs,
        baselines=tuple(baselines),
        externals={name: Path(path) for name, path in (externals or {}).items()},
        environment=os.environ,
        excuses=tuple(one for path in policies for one in load_policy(Path(path)).sources),
        required=requirements or None,
    )
    return answer(question, Cache(default_directory() if cache is None else Path(cache)))


def plan(*variants: str, config: str | os.PathLike[str] | None = None) -> Plan:
    """Resolve a matrix: `smforge plan` as a function.

    Each cell of the result is one of the named variants, all where none is named, on one platform:
    its toolkit, arch lists, bake targets and variables. `config` is the matrix, by default
    ``versions.json`` of the current directory. Nothing is built, and no engine is needed.

    Raises `ConfigurationError` for a matrix that cannot be read or contradicts itself, and
    `UsageError` for a variant that it does not have.

    >>> (cell,) = smforge.plan("demo", config="versions.json").cells
    >>> cell.platform, cell.toolkit.tag
    ('linux/amd64', 'cu130')
    >>> [str(target) for target in cell.components[0].targets]
    ['11.0a', '12.0f', '12.1a']
    """
    return resolve(load(None if config is None else Path(config)), variants)


def _words(require: Words) -> tuple[str, ...]:
    return (require,) if isinstance(require, str) else tuple(require)
