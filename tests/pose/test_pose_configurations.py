"""Every configuration of poses can be used as it stands."""

import pytest

from train import configuration
from train.models.registry import fields_of
from train.tasks import TASKS, task_of

MODELS = ("ogn", "keypoint-rcnn")
POSES = [name for name in configuration.names() if configuration.configuration(name).model in MODELS]


def test_there_are_some():
    assert POSES == ["coco-ogn", "lspet-ogn", "synthetic-people-keypoint-rcnn", "synthetic-people-ogn"]


@pytest.mark.parametrize("name", POSES)
def test_a_configuration_holds_what_its_records_take(name):
    found = configuration.configuration(name)
    assert found.what and name == f"{found.dataset}-{found.model}"
    task = task_of(found.model)
    config = task.config.from_dict(
        {**found.train, "model": found.model, "model_settings": dict(found.settings)}
    )
    assert config.epochs > 0
    task.recipe.from_dict(dict(found.recipe))
    assert set(found.settings) <= fields_of(found.model) - task.from_data


def test_every_model_has_a_task():
    assert task_of("") is TASKS["action"]
    for task in TASKS.values():
        assert task.sources.names() and callable(task.recipe.from_dict) and callable(task.config.from_dict)
    with pytest.raises(ValueError, match="unknown model"):
        task_of("ogm")
