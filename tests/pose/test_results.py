"""What `evaluate --results` writes, against the annotations it is judged by."""

import numpy as np
import pytest

from train.pose.data import registry
from train.pose.predict import Poses
from verbs.pose_evaluation import coco_figures, results


@pytest.mark.parametrize("category", [1, 7])
def test_people_are_of_the_file_s_own_category(coco_folder, category):
    """The truth given back as what was found is perfect, whatever number people have in the file."""

    def renumber(truth):
        for entry in (*truth["categories"], *truth["annotations"]):
            entry["id" if "keypoints" in entry and "name" in entry else "category_id"] = category

    people = registry.load("coco", coco_folder(renumber), "test")
    xy = np.stack([person.xy for person in people.people])
    listed = results(Poses(xy, np.ones(xy.shape[:2])), people)
    assert {entry["category_id"] for entry in listed} == {category}
    assert coco_figures(listed, people, "keypoints")["AP"] == pytest.approx(1.0)
