"""Build the trees of Forest R-CNN: coarser classes, the parents, of the classes of a dataset.

The visual tree clusters the weights of a trained classifier, the geometric one the sizes and shapes
of the boxes, the lexical one the names of the classes, or it groups them by a field of the
categories. Set num_parents of ForestLoss and ForestLinear to the numbers that are printed, and
trees of ForestLoss to the file.
"""
import argparse
import re
import sys
from pathlib import Path

import numpy as np
from bacl.annotations.class_trees import geometric_tree, lexical_tree, visual_tree
from bacl.annotations.coco import read_coco_annotations
from bacl.compat.checkpoints import load_weights
from bacl.datasets.json_files import write_json

CLASSIFIER = re.compile(r'(^|\.)fc_cls\.weight$')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('ann_file', type=Path, help='of the training data, in COCO or LVIS format')
    parser.add_argument('--checkpoint', type=Path,
                        help='of a detector trained on these classes; without, no visual tree')
    parser.add_argument('--visual', type=int, default=25, metavar='P',
                        help='parents of the visual tree (default: 25)')
    parser.add_argument('--geometric', type=int, default=50, metavar='P',
                        help='parents of the geometric tree (default: 50)')
    parser.add_argument('--lexical', type=int, default=108, metavar='P',
                        help='parents of the lexical tree, without a field (default: 108)')
    parser.add_argument('--lexical-field', metavar='FIELD',
                        help='of the categories, whose values are the parents: supercategory')
    parser.add_argument('--seed', type=int, default=0, help='of k-means (default: 0)')
    parser.add_argument('--out', type=Path, metavar='FILE',
                        help='default: class_trees.json beside the annotations')
    return parser.parse_args()


def class_weights(path: Path, num_classes: int) -> np.ndarray:
    """Rows of the classes in the weights of a checkpoint's classifier, (C, D).

    Of a cascade, the last classifier.

    Raises:
        ValueError: if it has none, or not of these classes.
    """
    checkpoint = load_weights(path)
    weights = checkpoint.get('state_dict', checkpoint)
    found = [value for name, value in weights.items() if CLASSIFIER.search(name)]
    if not found or len(found[-1]) < num_classes:
        raise ValueError(f'{path} has no layer fc_cls with a row for each of {num_classes} '
                         'classes. Take a detector that was trained on them.')
    return found[-1][:num_classes].double().numpy()


def build(args: argparse.Namespace) -> None:
    """Write the trees and say how many parents each has."""
    data = read_coco_annotations(args.ann_file, ('height', 'width'), ('bbox',))
    trees = {}
    if args.checkpoint:
        weights = class_weights(args.checkpoint, len(data['categories']))
        trees['visual'] = visual_tree(weights, args.visual, args.seed)
    trees['geometric'] = geometric_tree(data, args.geometric, args.seed)
    trees['lexical'] = lexical_tree(data['categories'], args.lexical, args.lexical_field, args.seed)
    path = args.out or args.ann_file.parent / 'class_trees.json'
    write_json(path, [dict(name=name, parents=tree.tolist()) for name, tree in trees.items()])
    print(f'{path}: {", ".join(trees)}; num_parents='
          f'{tuple(int(tree.max()) + 1 for tree in trees.values())}')


def main() -> None:
    """Build; an error that the user can cure is one line."""
    try:
        build(parse_args())
    except (ValueError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')


if __name__ == '__main__':
    main()
