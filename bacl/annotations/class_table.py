"""The classes of a dataset: their names, how often each occurs, and their frequency groups."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import NamedTuple

import numpy as np

from .group_thresholds import GROUP_THRESHOLDS, lt_groups
from .lvis import FREQUENCIES, check_frequencies

# Field of a category that names its group. A COCO-LT file made from one in LVIS format has both,
# and of these only that of COCO-LT fits its annotations.
COCO_LT_GROUP, LVIS_GROUP = 'lt_group', 'frequency'


class FrequencyGroup(NamedTuple):
    """A group of classes that occur about equally often.

    Attributes:
        key: as in the names of metrics: 'r' of APr, '1' of AP1.
        label: in words: 'rare', '20 to 399'.
    """

    key: str
    label: str


LVIS_GROUPS = tuple(map(FrequencyGroup, FREQUENCIES, ('rare', 'common', 'frequent')))


@dataclass(frozen=True, eq=False)
class ClassTable:
    """C classes in label order.

    Attributes:
        names: C.
        image_count: (C,), int64, training images with the class.
        instance_count: (C,), int64, training annotations of the class, crowds included.
        num_images: images of the annotation file, also those without annotations. The counts are
            of the same file, except in LVIS format: there every file, also one for validation,
            brings the counts of the training set, but not its number of images.
        groups: from the rarest to the most frequent, also those without classes; none if the data
            have none.
        group: (C,), int64, position of each class's group in ``groups``; None without groups.
        num_annotated_images: how many of the ``num_images`` have annotations; None if unknown.
    """

    names: tuple[str, ...]
    image_count: np.ndarray
    instance_count: np.ndarray
    num_images: int
    groups: tuple[FrequencyGroup, ...] = ()
    group: np.ndarray | None = None
    num_annotated_images: int | None = None

    @classmethod
    def from_categories(cls, categories: Sequence[dict],
                        images_of_category: Mapping[int, Sequence[int]], num_images: int,
                        ann_file: str | PathLike | None = None) -> 'ClassTable':
        """Count the classes of an annotation file.

        In LVIS format, where every category has a 'frequency', the file's 'image_count' and
        'instance_count' hold: those of a validation set tell of the training set. Otherwise, and
        where LVIS lacks them, annotations are counted, crowds included. Groups are the file's:
        those of LVIS cannot be derived from its counts.

        Args:
            categories: C records, in label order, with 'id' and maybe name, counts and group.
            images_of_category: per category id, the image id of each of its annotations.
            num_images: of the file.
            ann_file: where they come from, for messages; None for no file.

        Raises:
            ValueError: if counts of a file that is not LVIS contradict its annotations (then it is
                a part of another, whose groups would be wrong, too), or if a 'frequency' is not
                r, c or f.
        """
        field = next((f for f in (COCO_LT_GROUP, LVIS_GROUP) if all(f in c for c in categories)),
                     None)
        counts = {'image_count': [], 'instance_count': []}
        for category in categories:
            images = images_of_category.get(category['id'], [])
            for name, counted in (('image_count', len(set(images))),
                                  ('instance_count', len(images))):
                stored = category.get(name, counted)
                if stored != counted and field != LVIS_GROUP:
                    raise ValueError(
                        f'Annotation file {ann_file} has the {name!r} {stored} of '
                        f"{category.get('name', category['id'])!r}, but its annotations make it "
                        f'{counted}. Build the file again or remove {name!r} from its categories.')
                counts[name].append(stored)
        table = cls(tuple(str(category.get('name', category['id'])) for category in categories),
                    **{name: np.array(count, dtype=np.int64) for name, count in counts.items()},
                    num_images=num_images, num_annotated_images=len(
                        set().union(*images_of_category.values())))
        if field == LVIS_GROUP:
            check_frequencies(categories, ann_file)
            return table._with_stored_groups(LVIS_GROUPS, [c[field] for c in categories])
        return table if field is None else table._with_lt_groups([str(c[field])
                                                                  for c in categories])

    def _with_lt_groups(self, keys: list[str]) -> 'ClassTable':
        # A file does not say which thresholds its groups have; mostly they are those of COCO-LT.
        usual = self.grouped_by_instances()
        if usual.group_keys().tolist() == keys:
            return usual
        groups = [FrequencyGroup(key, f'group {key}')
                  for key in sorted(set(keys), key=lambda key: (len(key), key))]
        return self._with_stored_groups(groups, keys)

    def _with_stored_groups(self, groups: Sequence[FrequencyGroup],
                            keys: Sequence[str]) -> 'ClassTable':
        position = {group.key: position for position, group in enumerate(groups)}
        return replace(self, groups=tuple(groups),
                       group=np.array([position[key] for key in keys], dtype=np.int64))

    def grouped_by_instances(self, thresholds: Sequence[int] = GROUP_THRESHOLDS) -> 'ClassTable':
        """The same classes in groups by number of training annotations, with the keys '1', '2', ...

        Args:
            thresholds: the smallest numbers in groups 2, 3, ...; see
                :func:`.group_thresholds.check_group_thresholds`.
        """
        ends = [f'{threshold - 1:,}' for threshold in thresholds]
        labels = [f'below {thresholds[0]:,}',
                  *(f'{start:,}' if f'{start:,}' == end else f'{start:,} to {end}'
                    for start, end in zip(thresholds, ends[1:], strict=False)),
                  f'{thresholds[-1]:,} or more']
        return replace(self, group=lt_groups(self.instance_count, thresholds) - 1, groups=tuple(
            FrequencyGroup(str(number), label) for number, label in enumerate(labels, start=1)))

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.names)

    def group_keys(self) -> np.ndarray:
        """Key of each class's group: (C,), str.

        Raises:
            ValueError: if the data have no groups.
        """
        if self.group is None:
            raise ValueError('ClassTable.group_keys() expects classes with groups, got none. '
                             'grouped_by_instances() makes them.')
        return np.array([group.key for group in self.groups])[self.group]

    def mean_by_group(self, values: np.ndarray) -> dict[str, float]:
        """Mean of per-class values over each group that has classes, by its key.

        Args:
            values: (C,).
        """
        values = np.asarray(values)
        return {group.key: float(values[self.group == position].mean())
                for position, group in enumerate(self.groups) if (self.group == position).any()}

    def reordered(self, positions: Sequence[int]) -> 'ClassTable':
        """The classes in another order.

        Args:
            positions: (C,), of the classes in this table.
        """
        return replace(
            self, names=tuple(self.names[position] for position in positions),
            image_count=self.image_count[positions], instance_count=self.instance_count[positions],
            group=None if self.group is None else self.group[positions])
