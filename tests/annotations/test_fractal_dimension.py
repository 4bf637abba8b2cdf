import json

import numpy as np
import pytest
import torch
from bacl.annotations.fractal_dimension import (
    box_counting_dimension,
    num_occupied,
    read_location_statistics,
)


@pytest.mark.golden('fracal.npz')
def test_equals_the_official_dimension(golden):
    centers = torch.stack([golden['center_x'], golden['center_y']], dim=1).numpy()
    labels, num_classes = golden['center_label'].numpy(), int(golden['num_classes'])
    for grid, expected in enumerate(golden['box_counts'].long().tolist(), start=1):
        assert [num_occupied(centers[labels == label], grid)
                for label in range(num_classes)] == expected
    np.testing.assert_allclose(
        box_counting_dimension(centers, labels, num_classes, int(golden['grid_max'])),
        golden['dimension_box_dim'].numpy(), rtol=1e-8)


def test_a_filled_image_has_two_dimensions_a_line_one_and_few_objects_one():
    x = (np.arange(144) % 12 + 0.5) / 12
    y = (np.arange(144) // 12 + 0.5) / 12
    line = np.stack([x[:12].repeat(12), np.full(144, 0.3)], axis=1)
    centers = np.concatenate([np.stack([x, y], axis=1), line, [[0.1, 0.2]] * 3])
    dimension = box_counting_dimension(centers, np.repeat([0, 1, 3], [144, 144, 3]), 4)
    assert dimension.tolist() == pytest.approx([2, 1, 1, 1])


def test_centres_on_the_far_edge_are_in_the_last_cell():
    assert num_occupied(np.array([[1.0, 1.0], [0.9, 0.9], [-0.1, 0.0]]), 2) == 2


def test_a_file_with_counts_of_another_is_refused(make_lvis):
    ann_file = make_lvis('v1') / 'annotations/lvis_v1_train.json'
    data = json.loads(ann_file.read_text())
    data['categories'][0]['image_count'] = 100
    ann_file.write_text(json.dumps(data))
    with pytest.raises(ValueError, match='lvis_v1_train.json has 5 images.*100'):
        read_location_statistics(ann_file)
