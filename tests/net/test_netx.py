"""Files we write, loaded by lava-dl's own netx: what it got wrong in slayer's file it gets right in ours."""

from __future__ import annotations

import numpy as np
import pytest

from convert.ir import Unsupported
from convert.net_reader import read_net
from convert.to_lava import write_net
from deploy.lava_sim import net_runner
from deploy.loihi_sim import LoihiSim


@pytest.mark.lava
@pytest.mark.parametrize("name", ["conv_delay", "recurrent_delay"])
def test_netx_gives_slayers_spikes_on_the_rewritten_file(name, lava, exported, tmp_path):
    """Tolerance 0. slayer's own file: delays ignored, an error."""
    path, arrays = exported(name)
    program = read_net(path)
    write_net(tmp_path / "again.net", program)
    runner = net_runner(tmp_path / "again.net")
    last = runner.program.outputs[0]
    x = arrays["input"][:, None]
    got = runner.run(x.astype(np.float64), [last]).rasters[last][:, 0]
    ours = LoihiSim().compile(program).run(x, [program.outputs[0]]).rasters[program.outputs[0]][:, 0]
    want = arrays["slayer"][int(arrays["shifts"]) :][: len(got)]
    assert want.sum() > 5, "vacuous case"
    assert np.array_equal(got.reshape(len(got), -1)[: len(want)], want.reshape(len(want), -1))
    assert np.array_equal(got.reshape(len(got), -1), ours.reshape(len(ours), -1))


@pytest.mark.parametrize("name", ["norm", "rf_lsb"])
def test_netx_is_not_asked_to_run_what_it_gets_wrong(name, exported, monkeypatch):
    """The lava target promises exact spikes: a file with an error of the linter is refused with it."""
    with pytest.raises(Unsupported, match=r"integrates it|goes through a period"):
        net_runner(exported(name)[0])
