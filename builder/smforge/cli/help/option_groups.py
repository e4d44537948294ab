"""The groups in which help shows flags and commands.

A flag of one name is in the same group of every command. Flags that are in no group, because one
command alone has them, come first. Commands that are in no group come last.
"""

UNGROUPED = "Of this command"
COMMAND_GROUPS: dict[str, tuple[str, ...]] = {
    "What exists already": ("audit", "diff", "report", "slim", "repair"),
    "What will be built": (
        "init",
        "plan",
        "preflight",
        "build",
        "timeline",
        "merge",
        "index",
        "publish",
        "bump",
    ),
    "CI and this host": ("matrix", "builder", "doctor", "completion"),
    "What the words mean": ("devices", "explain"),
}

OPTION_GROUPS: dict[str, tuple[str, ...]] = {
    "What is asked": (
        "--require",
        "--variant",
        "--driver",
        "--native",
        "--expect",
        "--why",
    ),
    "What may be missing": (
        "--allow",
        "--allow-removed",
        "--policy",
        "--no-default-policy",
        "--write-policy",
    ),
    "The subject": (
        "--requirement",
        "--together",
        "--index-url",
        "--python",
        "--source",
        "--component",
        "--platform",
        "--cuda",
        "--archs",
    ),
    "How it is read": (
        "--kernels",
        "--no-kernels",
        "--backend",
        "--strict",
        "--baseline",
        "--external",
        "--fetch",
        "--no-cache",
        "--probe",
        "--probe-python",
        "--probed",
    ),
    "The answer": (
        "--output",
        "--format",
        "--summary",
        "--list-sources",
        "--fail-on",
    ),
    "General": ("--config", "--quiet", "--verbose", "--version", "--help"),
}
