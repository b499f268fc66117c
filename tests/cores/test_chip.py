"""Chip files: those that come with Basalt, and what a broken one is told."""

from __future__ import annotations

import pytest

from convert.ir import BadInput
from deploy.cores.chip import CHIPS, PER_CORE, chip, known_chips, load_chip


@pytest.mark.parametrize("name", known_chips())
def test_every_figure_has_unit_source_and_confidence(name):
    loaded = chip(name)
    assert loaded.name == name
    assert all(f.unit and f.source and f.confidence for f in loaded.figures.values())
    assert {k for k, f in loaded.figures.items() if f.value is None} == {
        k for k, f in loaded.figures.items() if f.confidence == "unknown"
    }


def test_published_limits_of_loihi_1():
    """Davies et al. 2018; nothing that the mapper checks there is unknown."""
    one = chip("loihi1")
    assert [one.limit(n) for n in ("cores_per_chip", "neurons", "axons_in", "axons_out")] == [
        128, 1024, 4096, 4096,
    ]  # fmt: skip
    assert one.limit("synapse_bits") == 16384 * 64
    assert all(one.limit(n) is not None for n in PER_CORE)
    assert one.slots("LoihiSigmaDelta") is None


def test_axons_of_loihi_2_are_unknown():
    two = chip("loihi2")
    assert two.limit("axons_in") is None
    assert two.limit("axons_out") is None
    assert two.slots("LoihiSigmaDelta") == 2


def edited(tmp_path, old, new):
    text = (CHIPS / "loihi1.toml").read_text()
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_a_chip_of_the_users_own(tmp_path):
    path = edited(tmp_path, "value = 1024", "value = 77")
    assert chip(str(path)).limit("neurons") == 77


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("value = 1024", "value = 0", "[limits.neurons] value = 0 must be a whole number above 0"),
        ("value = 1024", "value = true", "[limits.neurons] value = True must be"),
        ("value = 1024", 'value = "many"', "must be a whole number above 0"),
        ('confidence = "published"', 'confidence = "rumour"', "confidence must be one of published, ceiling"),
        ("[limits.neurons]", "[limits.neurones]", "[limits.neurons] is missing; [limits.neurones]"),
        ("[1, 2, 3, 4, 5, 6, 8]", "[8, 6]", "must be a list of whole numbers, ascending"),
        ("[mesh.width]\nvalue = 8", "[mesh.width]\nvalue = 2", "the mesh has places for 32 cores"),
        ('name = "loihi1"', 'nom = "loihi1"', "name must be text"),
        ("value = 1024\n", "value = 1024\nnote = 1\n", "[limits.neurons] note is unknown"),
        ('[mesh.width]\nvalue = 8\nunit = "routers"\nsource', '[mesh.width]\nunit = "routers"\nsource',
         "[mesh.width] value = None must be"),
        ("[models.LoihiLIF]", "[models", "not a readable chip file"),
    ],
)  # fmt: skip
def test_what_a_broken_chip_file_is_told(tmp_path, old, new, said):
    path = edited(tmp_path, old, new)
    with pytest.raises(BadInput) as error:
        load_chip(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)


def test_an_unknown_mesh_is_refused(tmp_path):
    """The mesh cannot be unknown: the placement needs it."""
    path = edited(
        tmp_path,
        '[mesh.height]\nvalue = 4\nunit = "routers"\nsource = "32',
        '[mesh.height]\nunit = "r"\nsource = "x',
    )
    path.write_text(
        path.read_text().replace(
            'confidence = "assumed"\n\n[mesh.cores', 'confidence = "unknown"\n\n[mesh.cores'
        )
    )
    with pytest.raises(BadInput, match=r"\[mesh.height\] cannot be unknown"):
        load_chip(path)


def test_an_unknown_chip_names_the_known_ones():
    with pytest.raises(BadInput, match="known: loihi1, loihi2"):
        chip("loihi3")
