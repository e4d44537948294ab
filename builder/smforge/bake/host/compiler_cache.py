"""The cache of compilations that machines share: which one is configured, and its settings.

ccache's remote storage is one line of the environment, which bake reads by itself. A bucket in S3
takes sccache and several settings, credentials among them: a file of ``NAME=VALUE`` lines that goes
into the build as a secret. It is read here only to refuse what cannot work before a build starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from smforge.errors import UsageError

BUCKET_SETTING = "SMFORGE_SCCACHE"
CCACHE_SETTING = "SMFORGE_CCACHE_REMOTE"
_BUCKET = "SCCACHE_BUCKET"

NAMES = frozenset(
    {
        _BUCKET,
        "SCCACHE_ENDPOINT",
        "SCCACHE_REGION",
        "SCCACHE_S3_ENABLE_VIRTUAL_HOST_STYLE",
        "SCCACHE_S3_KEY_PREFIX",
        "SCCACHE_S3_NO_CREDENTIALS",
        "SCCACHE_S3_RW_MODE",
        "SCCACHE_S3_SERVER_SIDE_ENCRYPTION",
        "SCCACHE_S3_USE_SSL",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    }
)
"""What sccache 0.16 reads about S3 (docs/S3.md of its sources), less what names files of the host
that a build does not have."""


def bucket_settings(environment: Mapping[str, str]) -> Path | None:
    """The file of SMFORGE_SCCACHE; None where it is unset or empty.

    Raises `UsageError`, which repeats no value, when there is no such file, when a line of it is no
    setting of sccache's for S3, when it names no bucket, and when SMFORGE_CCACHE_REMOTE is set too.
    """
    asked = environment.get(BUCKET_SETTING)
    if not asked:
        return None
    if environment.get(CCACHE_SETTING):
        raise UsageError(
            f"{BUCKET_SETTING} and {CCACHE_SETTING} are both set, and one compilation goes through "
            "one cache.",
            remedy=f"Unset {CCACHE_SETTING} for the bucket, or {BUCKET_SETTING} for ccache.",
        )
    file = Path(asked)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise UsageError(
            f"{BUCKET_SETTING} names {asked}, which cannot be read: {reason}.",
            remedy="Name a file with sccache's settings, one NAME=VALUE in a line, or unset it.",
        ) from None
    _check(text, asked)
    return file.resolve()


def _check(text: str, file: str) -> None:
    found = {}
    # As the build's shell has them: a line ends in a line feed, and values are taken as they stand.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line or line.startswith("#"):
            continue
        name, _, value = line.partition("=")
        if name not in NAMES:
            raise UsageError(
                f"Line {number} of {file} ({BUCKET_SETTING}) sets nothing of sccache's for S3.",
                remedy=f"Write NAME=VALUE, where NAME is one of {', '.join(sorted(NAMES))}.",
            )
        found[name] = value
    if not found.get(_BUCKET):
        raise UsageError(
            f"{file} ({BUCKET_SETTING}) names no bucket.",
            remedy=f"Add a line {_BUCKET}=NAME, or unset {BUCKET_SETTING}.",
        )
