"""Labels as LVIS has them: of an image it is known of few categories whether they are there.

LVIS verifies for each category the absence in about one image of a hundred, the target of its
collection (Gupta et al., arXiv:1908.03195, section 3), and marks categories in images where
annotators could not find every object. Beside its numbers, quoted for v1 val (19,809 images, 1,203
categories), those of the presets:

=======================================  ========  =====  =====  =========  =====
in val                                   LVIS v1   smoke  mini   lvis-like  full
=======================================  ========  =====  =====  =========  =====
categories known to be absent, an image  some 11   9.8    9.9    10.3       10.1
images a category is known to be not in  some 180  13     33     12         21
not exhaustive categories, an image      0.2-0.4   0.2    0.3    0.4        0.4
=======================================  ========  =====  =====  =========  =====
"""
import numpy as np

from .plan import FEDERATION_STREAM

# Categories known to be absent in an image, on average.
NUM_NEGATIVES = 10
# Share of the pairs of an image and a category in it that are not exhaustively annotated: of an
# image's 5 to 7 categories 0.3 to 0.4.
NOT_EXHAUSTIVE_SHARE = 0.055


def federate(dataset: dict, seed: int) -> dict:
    """Forget most of what an exhaustively annotated dataset knows.

    As in LVIS, every category is known to be absent in the same number of random images. What is
    annotated stays, also of a category that is no longer exhaustive in an image; unmatched
    detections of it are no errors then.

    Args:
        dataset: content of an annotation file in which every absent category is listed. Not
            changed.
        seed: with a stream of its own, so that nothing else depends on what is drawn here.

    Returns:
        The same with other ``neg_category_ids`` and ``not_exhaustive_category_ids``.
    """
    rng = np.random.default_rng([seed, FEDERATION_STREAM])
    images = [dict(image, neg_category_ids=[], not_exhaustive_category_ids=[])
              for image in dataset['images']]
    all_absent = [set(image['neg_category_ids']) for image in dataset['images']]
    for category_id in [category['id'] for category in dataset['categories']]:
        absent = [index for index, ids in enumerate(all_absent) if category_id in ids]
        number = round(NUM_NEGATIVES * len(images) / len(dataset['categories']))
        for index in rng.permutation(absent)[:number]:
            images[index]['neg_category_ids'].append(category_id)
    by_id = {image['id']: image for image in images}
    present = sorted({(annotation['image_id'], annotation['category_id'])
                      for annotation in dataset['annotations']})
    for image_id, category_id in present:
        if rng.random() < NOT_EXHAUSTIVE_SHARE:
            by_id[image_id]['not_exhaustive_category_ids'].append(category_id)
    return dict(dataset, images=images)
