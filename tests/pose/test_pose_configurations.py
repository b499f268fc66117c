"""Every configuration of poses can be used as it stands."""

import pytest

from train import configuration
from train.models.registry import fields_of
from train.records import records

MODELS = ("ogn", "keypoint-rcnn")
POSES = [name for name in configuration.names() if configuration.configuration(name).model in MODELS]


def test_there_are_some():
    assert POSES == ["coco-ogn", "lspet-ogn", "synthetic-people-keypoint-rcnn", "synthetic-people-ogn"]


@pytest.mark.parametrize("name", POSES)
def test_a_configuration_holds_what_its_records_take(name):
    found = configuration.configuration(name)
    assert found.what and name == f"{found.dataset}-{found.model}"
    settings, recipe = records(found.model)
    config = settings.from_dict({**found.train, "model": found.model, "model_settings": dict(found.settings)})
    assert config.epochs > 0
    recipe.from_dict(dict(found.recipe))
    assert set(found.settings) <= fields_of(found.model)
