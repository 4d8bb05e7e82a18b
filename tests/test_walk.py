"""The README's way through the service, line by line, as a new user would go it."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


def blocks(kind: str) -> str:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    walk = readme.partition("<!-- walk:begin -->")[2].partition("<!-- walk:end -->")[0]
    return "\n".join(re.findall(rf"```{kind}\n(.*?)```", walk, re.DOTALL))


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


@pytest.mark.slow
def test_the_walk_through_the_service(data, tmp_path):
    port = free_port()
    lines = blocks("bash").replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    (tmp_path / "walk.py").write_text(blocks("python"), encoding="utf-8")
    (tmp_path / "cohorts").symlink_to(ROOT / "cohorts")
    script = f"set -euo pipefail\ntrap 'kill %1; wait' EXIT\n{lines}\npython walk.py"
    own = {name: value for name, value in os.environ.items() if "EVENSCAN" not in name}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=own
        | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "EVENSCAN_PORT": port,
            "HAM10000": str(data / "ham10000"),
        },
        capture_output=True,
        text=True,
        timeout=400,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said + (tmp_path / "serve.log").read_text()
    assert "Held for approval with no champion to compare with: PASS." in done.stdout
    assert '"who":"Ada Lovelace"' in done.stdout
    assert (tmp_path / "report.html").stat().st_size > 100_000
    assert np.load(tmp_path / "codes.npy").shape == (1, 256)
    assert re.search(r"(benign|malignant) \{'benign': ", done.stdout)
