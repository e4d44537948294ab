"""The jobs as pipelines of GitHub Actions and Buildkite, and as an overview for people.

pipelines/ holds both, made by `smforge matrix`; docs/ci.md has the commands.
"""

from smforge.plan.pipelines.buildkite import buildkite
from smforge.plan.pipelines.github import github
from smforge.plan.pipelines.overview import overview

__all__ = ["buildkite", "github", "overview"]
