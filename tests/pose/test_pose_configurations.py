"""Every configuration of poses can be used as it stands."""

import pytest

from train import configuration
from train.models.registry import fields_of
from train.pose.config import PoseConfig
from train.pose.recipe import PoseRecipe

POSES = [name for name in configuration.names() if name.endswith("-ogn")]


def test_there_are_some():
    assert POSES == ["coco-ogn", "lspet-ogn", "lspet-ogn-tiny", "synthetic-people-ogn"]


@pytest.mark.parametrize("name", POSES)
def test_a_configuration_holds_what_its_records_take(name):
    found = configuration.configuration(name)
    assert found.model == "ogn" and found.what
    assert name == f"{found.dataset}-ogn"
    config = PoseConfig.from_dict({**found.train, "model": "ogn", "model_settings": dict(found.settings)})
    assert config.epochs > 0
    PoseRecipe.from_dict(dict(found.recipe))
    assert set(found.settings) <= fields_of("ogn")
