from bacl.datasets.image_labels import image_labels

# Of each image, label and whether it is ignored.
IMAGES = [[(0, 0), (1, 0), (0, 0)], [], [(2, 1)], [(1, 1), (2, 0)]]


class Dataset:
    def __len__(self):
        return len(IMAGES)

    def get_data_info(self, index):
        return dict(instances=[dict(bbox_label=label, ignore_flag=ignore)
                               for label, ignore in IMAGES[index]])


def test_every_image_has_its_labels_without_ignored_ones():
    assert list(image_labels(Dataset())) == [[0, 1, 0], [], [], [2]]
