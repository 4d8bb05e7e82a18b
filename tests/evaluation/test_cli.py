"""The command: exit codes, messages, and nothing half-written."""

import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest

from evaluation.audit import Audit
from evaluation.cli import main
from tests.conftest import made_predictions

POLICY = """
name = "p"
[[clause]]
quantity = "overall"
metric = "auroc"
minimum = {minimum}
"""


WRITTEN = {"audit.json", "cards", "evidence.jsonl", "report.html", "tables"}


class Done(NamedTuple):
    """What a command came to."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def evenscan(capsys, monkeypatch):
    """Runs the command in this process, which saves importing everything anew."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["evenscan", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return Done(left.value.code or 0, *capsys.readouterr())

    return call


def without_extras(*arguments):
    """Runs the command where no package of the extras can be imported."""
    command = [sys.executable, "-c", BLOCKED, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def run(call, tmp_path, minimum=0.6, table=None, attributes="sex,age", extra=()):
    made = made_predictions() if table is None else table
    made.to_csv(tmp_path / "p.csv", index=False)
    (tmp_path / "policy.toml").write_text(POLICY.format(minimum=minimum))
    files = (
        tmp_path / "p.csv",
        "--policy",
        tmp_path / "policy.toml",
        "--out",
        tmp_path / "out",
    )
    options = ("--attributes", attributes, "--draws", 100, *extra)
    return call("audit", *files, *options)


@pytest.mark.parametrize(("minimum", "code"), [(0.6, 0), (0.99, 3), (0.83, 4)])
def test_the_verdict_is_the_exit_code(evenscan, tmp_path, minimum, code):
    done = run(evenscan, tmp_path, minimum)
    assert done.returncode == code, done.stdout + done.stderr
    assert {0: "PASS", 3: "FAIL", 4: "INSUFFICIENT"}[code] in done.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == WRITTEN
    assert evenscan("verify", tmp_path / "out").returncode == 0


def test_bad_input_is_1_with_every_fault_and_no_output(evenscan, tmp_path):
    table = made_predictions().astype({"label": object})
    table.loc[3, "label"] = "maybe"
    table.loc[5, "score"] = 7.0
    done = run(evenscan, tmp_path, table=table)
    assert done.returncode == 1
    assert "row 4, column label: label is 'maybe'" in done.stderr
    assert "row 6, column score" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_metrics_are_chosen_by_name(evenscan, tmp_path):
    done = run(evenscan, tmp_path, extra=("--metrics", "auroc, f1_score"))
    assert "F1 score" in done.stdout
    assert "Brier" not in done.stdout


@pytest.mark.parametrize(
    ("attributes", "extra", "message"),
    [
        ("sex", ("--metrics", "aurok"), "no metric is called 'aurok'. Did you mean 'auroc'"),
        ("sex,gender", (), "no attribute column 'gender'"),
        ("sex", ("--bins", "age=40"), "'age' is not among the attributes"),
        ("sex", ("--bins", "sex=a,b"), "'sex=a,b' is not understood"),
        ("sex", ("--threshold", "1.5"), "less than or equal to 1"),
        ("sex", ("--draws", "1"), "greater than or equal to 100"),
    ],
)
def test_wrong_values_say_what_to_do(evenscan, tmp_path, attributes, extra, message):
    done = run(evenscan, tmp_path, attributes=attributes, extra=extra)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_file_is_1(evenscan, tmp_path):
    files = ("no.csv", "--policy", "no.toml", "--out", tmp_path)
    done = evenscan("audit", *files, "--attributes", "sex")
    assert done.returncode == 1
    assert "no such file" in done.stderr


@pytest.mark.parametrize("arguments", [("audit",), ("no-such",), ("audit", "x", "--no")])
def test_wrong_usage_is_2(evenscan, arguments):
    assert evenscan(*arguments).returncode == 2


def test_without_arguments_it_shows_the_commands(evenscan):
    done = evenscan("--help")
    assert done.returncode == 0
    for command in ("audit", "train", "cohort", "serve", "demo"):
        assert command in done.stdout


BLOCKED = """
import sys
BLOCKED = '''torch monai onnx onnxruntime onnxscript safetensors tomli_w fastapi starlette
uvicorn sqlalchemy alembic dbos pydantic_settings'''.split()
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
sys.meta_path.insert(0, Absent())
from evaluation.audit import Audit
from evaluation.cli import main
main()
"""


def test_the_audit_runs_without_torch_or_any_other_extra(tmp_path):
    """As in an environment that holds the base install only."""
    done = run(without_extras, tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_command_whose_extra_is_absent_says_which(tmp_path):
    (tmp_path / "run.toml").write_text("")
    done = without_extras("train", tmp_path / "run.toml")
    assert done.returncode == 1
    assert "pip install 'evenscan[training]'" in done.stderr


def test_a_changed_file_is_found(evenscan, tmp_path):
    run(evenscan, tmp_path)
    page = tmp_path / "out" / "report.html"
    page.write_text(page.read_text().replace("PASS", "FAIL"))
    done = evenscan("verify", tmp_path / "out")
    assert done.returncode == 1
    assert "report.html" in done.stderr


def test_a_second_audit_goes_on_with_the_evidence(evenscan, tmp_path):
    run(evenscan, tmp_path)
    before = (tmp_path / "out" / "evidence.jsonl").read_text()
    run(evenscan, tmp_path, minimum=0.99)
    after = (tmp_path / "out" / "evidence.jsonl").read_text()
    assert after.startswith(before)
    assert evenscan("verify", tmp_path / "out").returncode == 0


def test_a_cut_end_is_found_by_the_last_hash(evenscan, tmp_path):
    run(evenscan, tmp_path)
    last = evenscan("verify", tmp_path / "out").stdout.split()[-1]
    assert evenscan("verify", tmp_path / "out", "--last", last).returncode == 0
    chain = tmp_path / "out" / "evidence.jsonl"
    chain.write_text("".join(chain.read_text().splitlines(keepends=True)[:-1]))
    assert evenscan("verify", tmp_path / "out").returncode == 0
    assert evenscan("verify", tmp_path / "out", "--last", last).returncode == 1


def test_a_report_is_made_again_for_sharing(evenscan, tmp_path):
    table = made_predictions().astype({"sex": object})
    table.loc[:7, "sex"] = "rare"  # four patients
    run(evenscan, tmp_path, table=table)
    source = tmp_path / "out" / "audit.json"
    assert '"sex: rare"' in source.read_text()
    done = evenscan("report", source, "--out", tmp_path / "shared", "--shareable")
    assert done.returncode == 0, done.stderr
    audit = Audit.read(tmp_path / "shared" / "audit.json")
    hidden = next(size for size in audit.cohort if size.group == "sex: rare")
    assert (hidden.patients, hidden.images) == (None, None)
    assert "fewer than 11" in hidden.reason
    done = evenscan("report", tmp_path / "p.csv", "--out", tmp_path / "no")
    assert done.returncode == 1
    assert "not readable as an audit" in done.stderr
    assert not (tmp_path / "no").exists()


def test_a_settings_file_is_read_and_options_override_it(evenscan, tmp_path):
    made = made_predictions().rename(columns={"score": "risk"})
    settings = tmp_path / "audit.toml"
    settings.write_text(
        '[audit]\nmetrics = ["auroc", "accuracy"]\nseed = 3\n'
        '[[audit.attributes]]\nname = "age"\nbins = [40]\n[columns]\nscore = "risk"\n'
    )
    extra = ("--settings", settings, "--metrics", "auroc")
    done = run(evenscan, tmp_path, table=made, attributes="age", extra=extra)
    assert done.returncode == 0, done.stderr
    spec = Audit.read(tmp_path / "out" / "audit.json").spec
    assert (spec.metrics, spec.seed, spec.attributes[0].bins) == (("auroc",), 3, (40.0,))
    settings.write_text("[audit]\ndepht = 2\n")
    done = run(evenscan, tmp_path, extra=("--settings", settings))
    assert done.returncode == 1
    assert "unknown key 'audit.depht'. Did you mean 'depth'?" in done.stderr


def test_a_champion_is_compared_with(evenscan, tmp_path):
    noise = np.random.default_rng(0).normal(scale=0.3, size=400)
    made = made_predictions()
    worse = made.assign(score=(made["score"] + noise).clip(0, 1))
    worse.to_csv(tmp_path / "old.csv", index=False)
    done = run(evenscan, tmp_path, table=made, extra=("--champion", tmp_path / "old.csv"))
    assert done.returncode == 0, done.stderr
    audit = Audit.read(tmp_path / "out" / "audit.json")
    assert audit.champion == "old.csv"
    assert next(c for c in audit.changes if c.metric == "auroc").low > 0


BAD = {
    "scores are logits": (lambda t: t.assign(score=t["score"] * 9 - 4), "apply a sigmoid"),
    "scores are missing": (lambda t: t.assign(score=None), "score is missing"),
    "labels are words": (
        lambda t: t.assign(label=t["label"].map({1: "ill", 0: "well"})),
        "--positive",
    ),
    "attribute all missing": (lambda t: t.assign(sex=None), "every value is missing"),
    "200 categories": (
        lambda t: t.assign(sex=[f"value {k % 200}" for k in range(len(t))]),
        "200 distinct values",
    ),
    "no rows": (lambda t: t.iloc[:0], "no rows"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_tables_are_named_and_nothing_is_written(evenscan, tmp_path, name):
    spoil, said = BAD[name]
    done = run(evenscan, tmp_path, table=spoil(made_predictions()))
    assert done.returncode == 1
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


ODD = {
    "constant scores": lambda t: t.assign(score=0.5),
    "one class": lambda t: t.assign(label=0),
    "one-class group": lambda t: t.assign(label=t["label"].where(t["sex"] == "male", 1)),
    "a group of one patient": lambda t: t.assign(
        sex=t["sex"].astype(object).where(t.index > 1, "rare")
    ),
    "one row": lambda t: t.iloc[:1],
    "one patient": lambda t: t.assign(patient="p"),
    "ties": lambda t: t.assign(score=t["score"].round(1)),
    "empty crossing": lambda t: t[(t["sex"] == "male") | (t["age"] < 50)],
}


@pytest.mark.parametrize("name", ODD)
def test_odd_tables_get_evidence_states(evenscan, tmp_path, name):
    done = run(evenscan, tmp_path, table=ODD[name](made_predictions()))
    assert done.returncode in (0, 3, 4), done.stderr
    audit = Audit.read(tmp_path / "out" / "audit.json")
    for found in audit.estimates:
        assert np.isnan(found.value) <= (found.state == "undefined" and bool(found.reason))
