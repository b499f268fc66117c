"""Analyser logs: joules by hand, every unit, and what is no log."""

import pytest

from convert.ir import BadInput
from energy.power_log import power_log


def log(tmp_path, text):
    path = tmp_path / "ina.csv"
    path.write_text(text)
    return power_log(path)


def test_trapezoids(tmp_path):
    # 0..1 s from 1 to 3 W: 2 J; 1..3 s from 3 to 1 W: 4 J
    found = log(tmp_path, "time_s,power_w\n0,1\n1,3\n3,1\n")
    assert (found.joule, found.seconds, found.idle_w, found.readings) == (6.0, 3.0, None, 3)
    body = found.as_json(4)
    assert (body["joule_per_sample"], body["idle_joule"], body["source"]) == (1.5, None, "power log ina.csv")


def test_idle_is_subtracted_and_never_integrated_into_the_run(tmp_path):
    text = "time_s,power_w,phase\n0,1,idle\n2,1,idle\n3,5,run\n4,5,run\n5,1,idle\n6,5,run\n7,5,run\n"
    found = log(tmp_path, text)
    assert (found.idle_w, found.seconds) == (1.0, 2.0)
    assert found.joule == pytest.approx(2 * (5 - 1))


@pytest.mark.parametrize("text", [
    "time_ms,power_mw\n0,2000\n1500,2000\n", "time_us,power_uw\n0,2e6\n1.5e6,2e6\n",
    "voltage_v,current_a,time_s\n4,0.5,0\n4,0.5,1.5\n",
    "note,Time_S ,voltage_v,current_ma\nx,0,4,500\ny,1.5,4,500\n",
])  # fmt: skip
def test_units(tmp_path, text):
    assert log(tmp_path, text).joule == pytest.approx(3.0)


@pytest.mark.parametrize("text, why", [
    ("", "columns none; expected one of time_s"), ("time_s,watts\n0,1\n", "columns time_s, watts; expected"),
    ("time_s,time_ms,power_w\n0,0,1\n", "expected one of time_s"),
    ("time_s,voltage_v\n0,1\n", "expected one of"),
    ("time_s,power_w\n0,1\n1,much\n", "line 3: power_w is 'much'; expected a number"),
    ("time_s,power_w\n0,1\n1,nan\n", "line 3: power_w is 'nan'"),
    ("time_s,power_w\n0,1\n1\n", "power_w is None"),
    ("time_s,power_w\n1,1\n1,1\n", "time goes from 1 s to 1 s; expected it to rise"),
    ("time_s,power_w,phase\n0,1,sleep\n", "phase is 'sleep'; expected run or idle"),
    ("time_s,power_w,phase\n0,1,idle\n1,1,idle\n", "2 readings, no two in a row of a run"),
    ("time_s,power_w\n0,1\n", "1 readings, no two in a row of a run"),
    ("time_s,power_w,phase\n0,5,idle\n1,5,idle\n2,1,run\n3,1,run\n", "idle at 5 W takes more than the run"),
    ("time_s,power_w\n0,-2\n1,-2\n", "the run is at -2 W; expected 0 or more, check the sign"),
    ("time_s,power_w,phase\n0,-3,idle\n1,-3,idle\n2,-2,run\n3,-2,run\n", "the run is at -2 W"),
])  # fmt: skip
def test_what_is_no_log(tmp_path, text, why):
    with pytest.raises(BadInput, match=why) as error:
        log(tmp_path, text)
    assert "\n" not in str(error.value)
    with pytest.raises(BadInput, match="not a readable power log"):
        power_log(tmp_path / "none.csv")
