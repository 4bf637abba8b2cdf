from bacl.annotations.coco import coco_class_table
from bacl.report.page import Images


def test_classes_are_in_the_order_of_their_ids_with_counts_of_training(annotations):
    images = Images(annotations, 'val.json', coco_class_table(annotations, 'val.json'), str)
    assert images.category_ids == [11, 22, 33]
    assert images.classes.names[0] == 'many' == images.class_table.names[1]
    assert images.classes.group_keys().tolist() == ['f', 'r', 'c']
    assert images.classes.instance_count.tolist() == [400, 3, 25]
