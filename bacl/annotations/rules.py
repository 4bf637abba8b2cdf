"""Rules about annotation files: what may be unusual, and what becomes of it.

The table of ``bacl/datasets/README.md`` has them all, with the reasons.
"""
from dataclasses import dataclass, field

NUM_EXAMPLES = 5  # of the records that break a rule, in a message


@dataclass(frozen=True)
class Rule:
    """Something that may be unusual, and what becomes of it.

    Attributes:
        name: as in the table of the documentation.
        fact: what is unusual, in words.
        outcome: what happens to it; of a refused one, the cure.
        refused: whether a file with such a record is refused.
    """

    name: str
    fact: str
    outcome: str
    refused: bool = False


@dataclass
class Finding:
    """The records that one rule applies to.

    Attributes:
        rule: the rule.
        count: how many there are.
        examples: the first :data:`NUM_EXAMPLES`, in words.
    """

    rule: Rule
    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.examples) < NUM_EXAMPLES:
            self.examples.append(example)

    def __str__(self) -> str:
        more = ', ...' if self.count > len(self.examples) else ''
        examples = f' ({", ".join(self.examples)}{more})' if self.examples else ''
        return f'{self.rule.name}, {self.count}: {self.rule.fact}{examples}. {self.rule.outcome}.'


BAD_ID = Rule('bad-id', 'records whose id is no whole number',
              'Write ids as whole numbers', refused=True)
DUPLICATE_ID = Rule('duplicate-id', 'ids, or names of categories, that several have',
                    'Give each its own, and the annotations the right one', refused=True)
UNKNOWN_IMAGE = Rule('unknown-image', 'annotations of an image_id that is not listed',
                     'List the image or remove them', refused=True)
UNKNOWN_CATEGORY = Rule('unknown-category', 'annotations of a category_id that is not listed',
                        'List the category or remove them', refused=True)
BAD_IMAGE = Rule('bad-image', 'images without a file name, or whose width or height is no whole '
                 'number above 0', 'Write names as text, sizes in pixels as whole numbers',
                 refused=True)
BAD_CATEGORY = Rule('bad-category', 'categories whose name is no text, or whose image_count or '
                    'instance_count is no whole number from 0', 'Repair them', refused=True)
BAD_FEDERATED = Rule('bad-federated', 'images whose neg_category_ids or '
                     'not_exhaustive_category_ids is no list of whole numbers',
                     'Take them from the original file', refused=True)
BAD_BOX = Rule('bad-box', 'annotations whose bbox is not four finite numbers, or whose area is not '
               'one', 'Repair or remove them', refused=True)
NEGATIVE_BOX = Rule('negative-box', 'annotations with a bbox of negative width or height',
                    'Write boxes as [x, y, width, height]', refused=True)
BAD_FLAG = Rule('bad-flag', 'annotations whose iscrowd or ignore is not 0 or 1',
                'Write the number 0 or 1', refused=True)
BAD_MASK = Rule('bad-mask', 'annotations whose segmentation is no mask',
                'Write polygons [[x1, y1, x2, y2, x3, y3, ...], ...] or a run-length encoding of '
                'the size of the image', refused=True)
NO_ANNOTATIONS = Rule('no-annotations', 'training without any annotation',
                      'Choose another ann_file', refused=True)
NO_GROUND_TRUTH = Rule('no-ground-truth', 'evaluation without any object to find',
                       'Choose another ann_file; predictions without evaluation need no metric '
                       'besides DumpDetResults', refused=True)
NOTHING_LEFT = Rule('nothing-left', 'training of which too little is left',
                    'Repair the annotations, or remove what is not for training', refused=True)
NORMALISED_BOX = Rule('normalised-box', 'annotations with a bbox inside of the first pixel: boxes '
                      'in parts of the image, from 0 to 1', 'Left out of training; in evaluation '
                      'never found. Write boxes in pixels')
SMALL_BOX = Rule('small-box', 'annotations with a side below 1 pixel or without area',
                 'Left out of training; ground truth in evaluation')
BOX_OUTSIDE = Rule('box-outside', 'annotations with a bbox outside their image',
                   'Left out of training; in evaluation never found')
IGNORED = Rule('ignored', 'annotations with ignore 1', 'Left out of training; in evaluation by '
               'LVIS neither to be found nor an error to find')
CROWD = Rule('crowd', 'annotations with iscrowd 1', 'Not learned in training; in evaluation by '
             'COCO neither to be found nor an error to find, by LVIS as any other')
BOX_OVERHANG = Rule('box-overhang', 'annotations whose bbox sticks out of the image by more than '
                    '1 pixel', 'Kept; Resize clips them, other transforms do not')
DUPLICATE_BOX = Rule('duplicate-box', 'annotations with image, category and bbox of another',
                     'Kept, so that they count twice. Remove them if they are one object')
DUPLICATE_IMAGE = Rule('duplicate-image', 'file names that several images have',
                       'Kept, as different images with a part of the annotations each')
SMALL_IMAGE = Rule('small-image', 'images with a side below filter_cfg.min_size',
                   'Left out of training')
EMPTY_IMAGE = Rule('empty-image', 'images without an annotation',
                   'Left out of training by filter_empty_gt, else drawn and dropped by DropEmptyGT')
UNUSED_IMAGE = Rule('unused-image', 'images with annotations, all of which are left out of '
                    'training', 'Drawn, and dropped by DropEmptyGT')
EMPTY_CATEGORY = Rule('empty-category', 'categories without an image',
                      'Kept, with counts of 0; in evaluation its AP is NaN and not in the mean')
UNUSED_CATEGORY = Rule('unused-category', 'categories with annotations, all of which are left out '
                       'of training', 'Kept, but never learned')
ID_GAPS = Rule('id-gaps', 'categories whose ids are not consecutive',
               'Handled: a label is the position in the list')
ID_0 = Rule('id-0', 'records with the id 0', 'Handled as any other')

RULES = (BAD_ID, DUPLICATE_ID, UNKNOWN_IMAGE, UNKNOWN_CATEGORY, BAD_IMAGE, BAD_CATEGORY,
         BAD_FEDERATED, BAD_BOX, NEGATIVE_BOX, BAD_FLAG, BAD_MASK, NO_ANNOTATIONS, NO_GROUND_TRUTH,
         NOTHING_LEFT, NORMALISED_BOX, SMALL_BOX, BOX_OUTSIDE, IGNORED, CROWD, BOX_OVERHANG,
         DUPLICATE_BOX, DUPLICATE_IMAGE, SMALL_IMAGE, EMPTY_IMAGE, UNUSED_IMAGE, EMPTY_CATEGORY,
         UNUSED_CATEGORY, ID_GAPS, ID_0)
