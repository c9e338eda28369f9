"""Global options may stand anywhere on the command line."""

import pytest

from smos.settings import hoisted


@pytest.mark.parametrize(
    ("written", "parsed"),
    [
        pytest.param(
            ["tenant", "status", "acme", "--json"], ["--json", "tenant", "status", "acme"], id="a flag at the end"
        ),
        pytest.param(
            ["plan", "--env", "staging", "tenants"], ["--env", "staging", "plan", "tenants"], id="one with a value"
        ),
        pytest.param(["plan", "--env=staging"], ["--env=staging", "plan"], id="one with an equals sign"),
        pytest.param(["-vvv", "plan", "-e", "a=b"], ["-vvv", "-e", "a=b", "plan"], id="several"),
        pytest.param(
            ["create", "tenant", "--plan", "free"], ["create", "tenant", "--plan", "free"], id="a command's own stays"
        ),
        pytest.param(["logs", "--", "--json"], ["logs", "--", "--json"], id="nothing after two dashes"),
        pytest.param(["plan", "--env"], ["--env", "plan"], id="a missing value is the parser's to refuse"),
    ],
)
def test_global_options_come_first(written: list[str], parsed: list[str]) -> None:
    assert hoisted(written) == parsed
