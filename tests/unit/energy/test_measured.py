"""RAPL on a tree of files of our own: wraps, idle power, intervals, and why nothing is measured."""

import math

import pytest

from convert.ir import BadInput
from energy.measured import Clock, Measured, Unmeasured, measure, t_quantile
from energy.powercap import Unreadable, Zone, zones

RANGE = 262_143_328_850


class Machine:
    """A powercap folder with a clock of our own: its counters take `idle_w`, and `run_w` more in a run."""

    def __init__(
        self, root, zones=(("intel-rapl:0", "package-0"),), start=0, most=RANGE, idle_w=20, run_w=30
    ):
        self.root, self.time, self.most = root, 0.0, most
        self.idle_w, self.run_w = idle_w, run_w
        self.total = {name: start for name, _ in zones}
        for name, label in zones:
            folder = root / name
            folder.mkdir()
            (folder / "name").write_text(f"{label}\n")
            (folder / "max_energy_range_uj").write_text(f"{most}\n")
        (root / "intel-rapl").mkdir()
        self._write()

    def _write(self):
        for name, total in self.total.items():
            (self.root / name / "energy_uj").write_text(f"{total % self.most}\n")

    def pass_time(self, seconds, watts):
        self.time += seconds
        for name in self.total:
            self.total[name] += round(seconds * watts * 1e6)
        self._write()

    def run(self):
        self.pass_time(2.5, self.idle_w + self.run_w)

    @property
    def clock(self):
        return Clock(lambda: self.time, lambda seconds: self.pass_time(seconds, self.idle_w))

    def measure(self, run=None, **options):
        return measure(run or self.run, self.root, clock=self.clock, **options)


def test_idle_power_is_subtracted(tmp_path):
    found = Machine(tmp_path).measure()
    assert isinstance(found, Measured)
    assert found.joule == pytest.approx(30 * 2.5, rel=1e-9)
    assert found.idle_w == pytest.approx(20, rel=1e-9) and found.runs >= 5 * 4
    assert found.ci95 == pytest.approx(0, abs=1e-6) and len(found.repeats) == 5
    body = found.as_json(3)
    assert body["joule_per_sample"] == found.joule / 3 and body["reason"] is None
    assert (body["source"], body["domain"], body["n_repeat"]) == ("powercap RAPL", "package-0", 5)
    assert body["idle_joule"] == pytest.approx(20 * found.seconds)


def test_a_machine_that_is_busier_while_idle_measures_nothing(tmp_path):
    """Something else ran in the idle spells: less than nothing is left for the run; no joules are told."""
    found = Machine(tmp_path, run_w=-5).measure()
    assert isinstance(found, Unmeasured) and found.as_json(3)["joule_per_sample"] is None
    assert "idle at 20 W the machine took no less than at work (-12.5 J a run are left)" in found.reason
    assert found.remedy == "end what else runs and measure again"


@pytest.mark.parametrize("start", [0, RANGE - 1, RANGE - 70_000_000])
def test_a_counter_that_starts_again_is_read_on(tmp_path, start):
    assert Machine(tmp_path, start=start).measure().joule == pytest.approx(75, rel=1e-9)


def test_wraps_are_whole_numbers(tmp_path):
    zone = Zone(tmp_path, "package-0", "package-0", RANGE)
    assert zone.between(5, 17) == 12
    assert zone.between(RANGE - 3, 4) == 7
    assert zone.between(9, 9) == 0
    assert zone.between(2**53 + 1, 2**53 + 2) == 1  # floats would say 0


def test_many_wraps_in_one_measurement(tmp_path):
    # 12 kJ a counter: 1000 W wrap it every 12 s of work; nothing is lost over 100 s and more
    machine = Machine(tmp_path, most=12_000_000_000, idle_w=400, run_w=600)
    assert machine.measure().joule == pytest.approx(600 * 2.5, rel=1e-9)
    assert machine.total["intel-rapl:0"] > 3 * machine.most


def test_a_counter_that_may_have_wrapped_twice_is_no_measurement(tmp_path):
    found = Machine(tmp_path, most=30_000_000_000).measure(seconds=40)
    assert isinstance(found, Unmeasured)
    assert "went unread for 40 s and may have wrapped twice (it holds 30000 J)" in found.reason


def test_packages_are_added_and_their_parts_are_not(tmp_path):
    names = (("intel-rapl:0", "package-0"), ("intel-rapl:0:0", "core"), ("intel-rapl:0:1", "dram"),
             ("intel-rapl:1", "package-1"), ("intel-rapl:2", "psys"))  # fmt: skip
    found = Machine(tmp_path, names).measure()
    assert found.joule == pytest.approx(2 * 75, rel=1e-9) and found.domain == "package-0 + package-1"
    assert set(found.parts) == {"package-0", "package-0/core", "package-0/dram", "package-1", "psys"}


def test_the_interval_is_students(tmp_path):
    machine, watts = Machine(tmp_path), iter([29.0, 30.0, 31.0, 30.0, 30.0] * 8)

    def run():
        if machine.time % 20 < 12.6:  # the first run of a repeat draws its power
            machine.run_w = next(watts)
        machine.run()

    found = machine.measure(run)
    n = len(found.repeats)
    mean = sum(found.repeats) / n
    deviation = math.sqrt(sum((x - mean) ** 2 for x in found.repeats) / (n - 1))
    assert deviation > 0 and found.joule == pytest.approx(mean)
    assert found.ci95 == pytest.approx(2.776 * deviation / math.sqrt(5), rel=1e-3)


@pytest.mark.parametrize("freedom, t", [(4, 2.7764), (5, 2.5706), (9, 2.2622), (29, 2.0452), (1000, 1.9623)])
def test_quantiles(freedom, t):
    assert t_quantile(freedom) == pytest.approx(t, rel=1e-3)  # the expansion's own error


def test_short_measurements_are_refused(tmp_path):
    machine = Machine(tmp_path)
    with pytest.raises(BadInput, match="measuring 5 times 9 s; expected 5 times 10 s at least"):
        machine.measure(seconds=9)
    with pytest.raises(BadInput, match="measuring 4 times 10 s"):
        machine.measure(repeats=4)


class TestNothingToMeasure:
    def test_no_powercap(self, tmp_path):
        found = measure(lambda: None, tmp_path / "none")
        assert isinstance(found, Unmeasured) and found.reason.startswith("no powercap at ")
        told = {"joule_per_sample": None, "reason": found.reason, "remedy": None}
        assert found.as_json(3) == told

    def test_an_empty_powercap(self, tmp_path):
        assert "no RAPL package" in measure(lambda: None, tmp_path).reason

    def test_no_package_among_the_zones(self, tmp_path):
        Machine(tmp_path, (("intel-rapl:0", "psys"),))
        assert "no RAPL package" in measure(lambda: None, tmp_path).reason

    @pytest.mark.parametrize("text", ["", "many", "-5", "1e9"])
    def test_a_counter_of_something_else(self, tmp_path, text):
        Machine(tmp_path)
        (tmp_path / "intel-rapl:0/energy_uj").write_text(text)
        assert "expected a whole number of microjoules" in measure(lambda: None, tmp_path).reason

    def test_a_counter_without_range(self, tmp_path):
        Machine(tmp_path)
        (tmp_path / "intel-rapl:0/max_energy_range_uj").write_text("0")
        assert "expected the range of a counter" in measure(lambda: None, tmp_path).reason

    def test_for_root_alone(self, tmp_path, monkeypatch):
        Machine(tmp_path)
        read = type(tmp_path).read_text

        def refused(path, *args, **kwargs):  # root, who runs tests, may read anything
            if path.name == "energy_uj":
                raise PermissionError(13, "Permission denied")
            return read(path, *args, **kwargs)

        monkeypatch.setattr(type(tmp_path), "read_text", refused)
        found = measure(lambda: None, tmp_path)
        assert "root alone (since kernel 5.10)" in found.reason
        assert 'SUBSYSTEM=="powercap"' in found.remedy and "groupadd rapl" in found.remedy

    @pytest.mark.parametrize("container, guest, told", [
        (True, True, "this is a container (it masks them) in a virtual machine (its processor has none)"),
        (False, True, "this is a virtual machine"), (True, False, "this is a container (it masks them)"),
    ])  # fmt: skip
    def test_what_hides_them(self, tmp_path, container, guest, told):
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/cpuinfo").write_text(f"model name : x\nflags\t\t: fpu{' hypervisor' * guest} vme\n")
        if container:
            (tmp_path / ".dockerenv").write_text("")
        with pytest.raises(Unreadable) as error:
            zones(tmp_path / "none", tmp_path)
        assert told in error.value.reason


def test_the_run_is_the_callers_and_its_errors_too(tmp_path):
    def fails():
        raise BadInput("no samples")

    with pytest.raises(BadInput, match="no samples"):
        Machine(tmp_path).measure(fails)
