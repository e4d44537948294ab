"""What an audit of a variant asks for: its requirements and its policies."""

from __future__ import annotations

from pathlib import Path

from smforge.workflow.audit_request import request_of

ROOT = Path(__file__).parents[2]


def test_the_policies_of_a_variant_count_in_its_audit(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('name = "own"\n[[allow]]\nfile = "x.so"\nreason = "No program loads it."\n')

    def policies(variant: str) -> set[str]:
        request = request_of(
            words=(),
            variant=variant,
            config=ROOT / "versions.json",
            driver=None,
            native=False,
            allowed=(),
            policies=(own,),
            shipped=False,
        )
        assert request.requirements
        return {excuse.policy for excuse in request.excuses}

    assert policies("cu130-thor") == {"own", "Thor, one GPU"}
    assert policies("cu130-rtx") == {"own"}
