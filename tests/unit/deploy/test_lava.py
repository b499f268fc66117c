"""The Lava target without Lava: its environment, what it refuses, a worker that fails or hangs."""

from __future__ import annotations

import os
import re
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from convert.ir import (
    ConvWeights,
    DenseWeights,
    Input,
    LoihiDelta,
    LoihiIntegrator,
    LoihiLIF,
    LoihiLIFRefractory,
    LoihiSigmaDelta,
    Population,
    Program,
    Projection,
    Unsupported,
)
from deploy import lava_env, lava_sim
from deploy.lava_limits import limits, observed
from deploy.lava_sim import LavaError, LavaSim, work
from deploy.target import target
from scripts import lava_env as provision


def small(weights=None, source=None, model=None, **projection):
    weights = DenseWeights(np.ones((2, 3), np.int8)) if weights is None else weights
    out, into = weights.shape
    populations = {
        "x": Population("x", (into,), source or Input((into,), "binary")),
        "y": Population("y", (out,), model or LoihiLIF(dv=10, vth=5), 1),
        "r": Population("r", (1,), LoihiIntegrator(), 2),
    }
    projections = [
        Projection("p", "x", "y", weights, **projection),
        Projection("q", "y", "r", DenseWeights(np.ones((1, out), np.int8))),
    ]
    return Program(populations, projections, ("r",))


def test_registered():
    assert isinstance(target("lava"), LavaSim)
    assert LavaSim.exact and LavaSim.takes == ("program",)


def test_environment_is_missing_half_made_or_named(tmp_path, monkeypatch):
    monkeypatch.delenv(lava_env.VARIABLE, raising=False)
    monkeypatch.setattr(lava_env, "ENVIRONMENT", tmp_path / ".venv-lava")
    assert lava_env.lava_missing() == ".venv-lava is missing; run `make lava`"
    assert lava_env.lava_python() is None
    assert LavaSim().available() == lava_env.lava_missing()
    with pytest.raises(Unsupported, match="make lava") as error:
        work({}, lambda folder: None, {})
    assert error.value.exit_code == 4
    python = tmp_path / ".venv-lava" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert "incomplete" in lava_env.lava_missing()
    (tmp_path / ".venv-lava" / lava_env.STAMP).touch()
    assert lava_env.lava_missing() is None and lava_env.lava_python() == python
    monkeypatch.setenv(lava_env.VARIABLE, str(tmp_path / "none"))
    assert "which is no file" in lava_env.lava_missing()
    monkeypatch.setenv(lava_env.VARIABLE, sys.executable)
    assert str(lava_env.lava_python()) == sys.executable


def convolution(value):
    return ConvWeights(
        np.full((1, 1, 1, 1), value, np.int16), (1, 1, 3), (1, 1, 3), (1, 1), (0, 0), (1, 1), 1
    )


@pytest.mark.parametrize("program, said", [
    (small(source=Input((3,), "real")), "x: takes real values"),
    (small(bits=10), "p: weights of 10 bits"),
    (small(source=Input((3,), "graded", bits=31)), "p: its sums may pass 2^30"),
    (small(DenseWeights(np.full((2, 600), 127)), exp=8), "y: its state may reach"),
    (small(model=LoihiLIFRefractory(0, 5, 2)), "y: Lava has refractory neurons in floating point only"),
    (small(replace(convolution(1), wrap=True), exp=-1), "p: Lava's Conv, asked for by `wrap`"),
    (small(model=LoihiDelta(1 << 22, spike_exp=7, state_exp=7)), "y: its state may reach"),
])  # fmt: skip
def test_refused(program, said):
    assert any(reason.startswith(said) for reason in LavaSim().supports(program)), LavaSim().supports(program)
    with pytest.raises(Unsupported, match=re.escape(said)):
        LavaSim().compile(program)


def test_sums_over_many_steps_are_refused():
    """Three inputs of weight 1 add 3 a step to sigma; delta, residue and error are 6 of it."""
    program = small(model=LoihiSigmaDelta(5))
    assert limits(program, (1 << 30) // 19) == []
    (reason,) = limits(program, (1 << 30) // 18 + 1)
    assert reason.startswith("y: its state may reach 107374")


def test_graded_messages_are_judged_by_what_was_sent():
    """y feeds r with two weights of 1, which Lava holds shifted by one bit: 2 * 2 * 2^28 is its word."""
    program = small(model=LoihiDelta(1))
    assert limits(program) == limits(program, 100, {"y": 1000}) == []
    (reason,) = limits(program, 100, {"y": 1 << 28})
    assert reason == "q: its sums may pass 2^30, Lava's words"
    sent = np.zeros((4, 1, 2), np.int64)
    sent[1, 0], sent[3, 0] = (-7, 5), (-(1 << 23), 0)
    assert observed(program, {"y": sent[:3]}) == {"y": 7}
    with pytest.raises(Unsupported, match="y: a message of magnitude 8388608 at step 3, above 8388607"):
        observed(program, {"y": sent})


def test_two_inputs_are_refused():
    program = small()
    more = dict(program.populations) | {"z": Population("z", (1,), Input((1,), "binary"))}
    assert LavaSim().supports(Program(more, program.projections, ("r",)))[0].startswith("2 inputs (x, z)")


def test_what_fits_is_supported():
    assert LavaSim().supports(small()) == []
    assert LavaSim().supports(small(DenseWeights(np.full((2, 3), -128)), exp=8)) == []
    assert (
        LavaSim().supports(
            small(DenseWeights(np.full((2, 20), 127)), Input((20,), "graded", bits=16), exp=-6)
        )
        == []
    )


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """Replace Lava's interpreter by a script of ours; `rest` in its text is the folder it is given."""
    folders = tmp_path / "folders"
    folders.mkdir()
    monkeypatch.setattr(lava_sim.tempfile, "tempdir", str(folders))

    def install(text):
        script = tmp_path / "python"
        script.write_text(
            f"#!{sys.executable}\nimport os, subprocess, sys, time\nfolder = sys.argv[3]\n{text}\n"
        )
        script.chmod(0o755)
        monkeypatch.setenv(lava_env.VARIABLE, str(script))

    yield install
    assert not list(folders.iterdir()), "the worker's folder is left behind"


RUN = {
    "asked": {"mode": "program"},
    "fill": lambda folder: None,
    "inputs": {"x": np.zeros((1, 1, 1), np.int64)},
}


def test_a_failing_worker_is_one_line(worker):
    said = "Traceback\nlava worker: ValueError: bad weights\n"
    worker(f"print('noise'); print({said!r}, file=sys.stderr); sys.exit(1)")
    with pytest.raises(LavaError) as error:
        work(**RUN)
    assert str(error.value) == "lava: ValueError: bad weights; run it again or use loihi-sim"


def test_a_worker_without_result_is_an_error(worker):
    worker("pass")
    with pytest.raises(LavaError, match="ended with code 0 and said nothing"):
        work(**RUN)


def test_a_silent_worker_is_ended_with_its_children(worker, tmp_path):
    child = "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print(1, flush=True); time.sleep(60)"
    worker(
        f"c = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE)\n"
        "c.stdout.readline()\n"
        f"open({str(tmp_path / 'pids')!r}, 'w').write(f'{{os.getpid()}} {{c.pid}}')\n"
        "time.sleep(60)"
    )
    start = time.monotonic()
    with pytest.raises(LavaError, match="silent for 2 s"):
        work(**RUN, silence_s=2)
    assert time.monotonic() - start < 20
    for pid in (tmp_path / "pids").read_text().split():
        assert not running(int(pid))


def running(pid):
    """Whether the process lives; a zombie that nobody has reaped does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_progress_is_passed_on(worker):
    worker("import numpy\nprint('Lava says')\nfor n in (1, 2): print('{\"done\": %d, \"of\": 2}' % n)\n"
           "numpy.savez(folder + '/result.npz', wall_s=1.0)")  # fmt: skip
    said = []
    assert float(work(**RUN, progress=lambda done, of: said.append((done, of)))["wall_s"]) == 1.0
    assert said == [(1, 2), (2, 2)]


def executable(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_provisioning_skips_interpreters_that_do_not_start(tmp_path, monkeypatch):
    shim = executable(
        tmp_path / "bin" / "python3.10",
        "#!/bin/sh\necho 'pyenv: python3.10: command not found' >&2\nexit 127\n",
    )
    good = executable(
        tmp_path / "pyenv" / "versions" / "3.10.13" / "bin" / "python", "#!/bin/sh\necho 3 10\n"
    )
    monkeypatch.delenv("BASALT_PYTHON310", raising=False)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    python, tried = provision.find()
    assert python == good
    assert tried == ["BASALT_PYTHON310: none", f"python3.10 on PATH: {shim} does not start "
                     "(pyenv: python3.10: command not found)"]  # fmt: skip
    monkeypatch.setenv("BASALT_PYTHON310", sys.executable)
    assert f"is Python {sys.version_info[0]}.{sys.version_info[1]}" in provision.find()[1][0]


def test_provisioning_says_where_it_looked(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BASALT_PYTHON310", str(tmp_path / "none"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provision.main(["--folder", str(tmp_path / "env")]) == 1
    said = capsys.readouterr().err
    for where in ("BASALT_PYTHON310", "python3.10 on PATH: none", "pyenv", "uv python find 3.10: none"):
        assert where in said


def test_provisioning_remakes_a_half_made_environment(tmp_path, monkeypatch):
    log = tmp_path / "log"
    copy = f'mkdir -p "$3/bin"; cp {tmp_path}/pip "$3/bin/python"'
    venv = f'#!/bin/sh\n[ "$2" = -c ] && echo 3 10 && exit\n{copy}\n'
    executable(tmp_path / "pip", f"#!/bin/sh\necho installed >> {log}\n")
    monkeypatch.setenv("BASALT_PYTHON310", executable(tmp_path / "python", venv))
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("lava-dl==0.6.0\n")
    folder = tmp_path / "env"
    (folder / "old").mkdir(parents=True)
    (folder / "pyvenv.cfg").touch()
    given = ["--folder", str(folder), "--requirements", str(requirements)]
    assert provision.main(given) == provision.main(given) == 0
    assert not (folder / "old").exists()
    assert log.read_text() == "installed\n", "the second run did nothing"
    requirements.write_text("lava-dl==0.5.0\n")
    assert provision.main(given) == 0
    assert log.read_text() == "installed\n" * 2


def test_provisioning_leaves_a_folder_of_something_else_alone(tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("years of work")
    assert provision.main(["--folder", str(tmp_path)]) == 2
    assert "not touched" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_stamps_agree():
    assert provision.STAMP == lava_env.STAMP
