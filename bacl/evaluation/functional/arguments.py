"""Checks of arguments that several functions of the evaluation have."""
IOU_TYPES = ('bbox', 'segm')


def check_positive_int(value: int, argument: str) -> None:
    """Refuse what is no positive int; True is none.

    Args:
        value: to check.
        argument: for the message, as in 'evaluate_lvis(max_dets=)'.

    Raises:
        ValueError: if it is something else.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f'{argument} expects a positive int, got {value}.')


def check_iou_type(value: str, argument: str) -> None:
    """Refuse what is not in :data:`IOU_TYPES`; the arguments are those of the function above."""
    if value not in IOU_TYPES:
        raise ValueError(f'{argument} expects one of {IOU_TYPES}, got {value}.')
