"""Multi-class NMS that looks only at as many candidates as it needs."""
import torch
from torch import Tensor
from torchvision.ops import nms

# Candidates that are looked at first, per detection that is kept at most.
INITIAL_FACTOR = 8
GROWTH_FACTOR = 8
# Pairs of boxes of one class whose overlap is computed at once; 16 bytes and more each.
MAX_PAIRS = 2**22


def multiclass_nms(boxes: Tensor, scores: Tensor, score_thr: float, iou_threshold: float,
                   max_per_img: int = -1, class_agnostic: bool = False
                   ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Greedy NMS within each class, best detections of all classes first.

    A candidate is a box and a class with a score above ``score_thr``. In the order of falling
    scores, ties in the order of boxes and then of classes, a candidate is kept unless a kept one of
    its class overlaps it by more than ``iou_threshold``; the first ``max_per_img`` kept ones are
    the result. mmdet's function computes the same from all candidates at once.

    Why looking at the best K candidates is exact: whether a candidate is kept depends on
    candidates before it only. So the first K candidates, wherever the ranking is cut, decide among
    themselves which of them are kept, and if these are ``max_per_img`` or more, no later candidate
    can be in the result. Otherwise K grows, until there are enough or all candidates were seen.
    Candidates with the score of the K-th are all taken, so that ties are not cut.

    Boxes of different classes are told apart by their class, not by an offset to their
    coordinates, which would cost precision. The overlap is intersection over union, computed in
    float32 at least; that of two boxes without area is undefined and suppresses nothing.

    Args:
        boxes: (R, 4) of all classes, or (R, C * 4) with one box per class: x1, y1, x2, y2, pixels.
        scores: (R, C), foreground classes only; NaN is no candidate.
        score_thr: candidates score above it.
        iou_threshold: in [0, 1].
        max_per_img: largest number of detections, or <= 0 for all.
        class_agnostic: boxes of different classes suppress each other, too.

    Returns:
        Boxes (K, 4), scores (K,), labels (K,) and the row (K,) in ``boxes`` of the detections, in
        the order of falling scores.
    """
    num_classes = scores.size(1)
    flat_boxes, flat_scores = boxes.reshape(-1, 4), scores.reshape(-1)
    flat_scores = flat_scores.masked_fill(~(flat_scores > score_thr), -torch.inf)
    num_candidates = int((flat_scores > -torch.inf).sum())
    has_own_boxes = boxes.size(1) > 4
    limit = num_candidates if max_per_img <= 0 else INITIAL_FACTOR * max_per_img
    while True:
        index = best_candidates(flat_scores, min(limit, num_candidates))
        row, label = index.div(num_classes, rounding_mode='floor'), index % num_classes
        candidates = flat_boxes[index if has_own_boxes else row]
        kept = suppress(candidates, torch.zeros_like(label) if class_agnostic else label,
                        iou_threshold)
        is_final = index.numel() == num_candidates or 0 < max_per_img <= kept.numel()
        if is_final:
            break
        limit *= GROWTH_FACTOR
    if max_per_img > 0:
        kept = kept[:max_per_img]
    return candidates[kept], flat_scores[index[kept]], label[kept], row[kept]


def best_candidates(scores: Tensor, num: int) -> Tensor:
    """Positions of the ``num`` highest scores and of all that equal the last of them.

    Args:
        scores: (M,).
        num: <= M.

    Returns:
        (K,), K >= num, by falling score, ties by position.
    """
    if num == 0:
        return scores.new_zeros(0, dtype=torch.long)
    last = scores.topk(num, sorted=False).values.min()
    index = (scores >= last).nonzero().squeeze(1)
    return index[scores[index].argsort(descending=True, stable=True)]


def suppress(boxes: Tensor, labels: Tensor, iou_threshold: float) -> Tensor:
    """Greedy NMS of ranked boxes within each class.

    Args:
        boxes: (K, 4), the best first.
        labels: (K,), int64.
        iou_threshold: in [0, 1].

    Returns:
        Positions of the kept boxes, rising.
    """
    # The area of a box of 256 x 256 pixels is beyond half precision.
    boxes = boxes.to(torch.promote_types(boxes.dtype, torch.float32))
    by_class = labels.argsort(stable=True)
    count = labels.bincount()
    if int(count.square().sum()) <= MAX_PAIRS:
        return suppress_pairwise(boxes, by_class, count, iou_threshold)
    rank_score = -torch.arange(len(boxes), device=boxes.device, dtype=torch.float64)
    kept = [group[nms(boxes[group], rank_score[group].to(boxes.dtype), iou_threshold)]
            for group in by_class.split(count.tolist()) if len(group)]
    return torch.cat(kept).sort().values


def suppress_pairwise(boxes: Tensor, by_class: Tensor, count: Tensor,
                      iou_threshold: float) -> Tensor:
    """:func:`suppress` by comparing all pairs of a class at once.

    Every box is kept at first; then, again and again, exactly those are kept that no kept box
    before them overlaps. A box is settled once all boxes before it that overlap it are: the n-th
    repetition settles whatever lies at the end of a chain of at most n overlapping boxes, as
    greedy NMS would, and when nothing changes, all are settled.

    Args:
        boxes: (K, 4), the best first.
        by_class: (K,), positions of the boxes, ordered by class and then by rank.
        count: number of boxes of each class.
        iou_threshold: in [0, 1].

    Returns:
        Positions of the kept boxes, rising.
    """
    boxes = boxes.index_select(0, by_class)
    start = (count.cumsum(0) - count).repeat_interleave(count)  # (K,): of the class of each box
    place = torch.arange(len(boxes), device=boxes.device)
    before = place - start  # boxes of its class before it, with each of which it makes a pair
    second = place.repeat_interleave(before)
    pair_start = before.cumsum(0) - before
    first = torch.arange(len(second), device=boxes.device) \
        - (pair_start - start).index_select(0, second)
    overlaps = (iou(boxes, first, second) > iou_threshold).nonzero().squeeze(1)
    first, second = (by_class.index_select(0, pair.index_select(0, overlaps))
                     for pair in (first, second))
    kept = boxes.new_ones(len(boxes), dtype=torch.bool)
    while True:
        is_suppressed = torch.zeros_like(kept)
        is_suppressed[second[kept[first]]] = True
        if torch.equal(kept, ~is_suppressed):
            return kept.nonzero().squeeze(1)
        kept = ~is_suppressed


def iou(boxes: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of pairs of boxes, (P,); NaN if neither has an area.

    Args:
        boxes: (K, 4).
        first: (P,), position of a box of each pair.
        second: (P,), position of the other.
    """
    low, high = boxes.split(2, dim=1)
    width, height = (torch.minimum(end.index_select(0, first), end.index_select(0, second))
                     .sub_(torch.maximum(start.index_select(0, first),
                                         start.index_select(0, second))).clamp_(min=0)
                     for start, end in zip(low.unbind(1), high.unbind(1), strict=True))
    intersection = width.mul_(height)
    area = (high - low).prod(dim=1)
    union = (area.index_select(0, first) + area.index_select(0, second)).sub_(intersection)
    return intersection.div_(union)
