"""Reading the predictions of ``tools/test.py --out`` without executing code from them."""
import io
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch

from .checkpoints import UnsafeCheckpointError, _RestrictedUnpickler


class UnsafePredictionsError(RuntimeError):
    """A file of predictions asks for code that reading predictions does not need."""


class _PredictionsUnpickler(_RestrictedUnpickler):
    def find_class(self, module: str, name: str) -> Any:
        # Tensors in a plain pickle carry their numbers as a pickle of their own, which torch's
        # function of this name reads without any restriction.
        if (module, name) == ('torch.storage', '_load_from_bytes'):
            return _load_storage
        return super().find_class(module, name)


def _load_storage(content: bytes) -> Any:
    try:
        return torch.load(io.BytesIO(content), map_location='cpu', weights_only=True)
    except pickle.UnpicklingError:
        raise UnsafeCheckpointError('other things than numbers inside a tensor') from None


def load_predictions(path: str | Path) -> list[dict]:
    """Read a pickle that ``tools/test.py --out`` wrote, without executing code from it.

    Args:
        path: of the file.

    Returns:
        One dict for each image, with 'img_id' and 'pred_instances'.

    Raises:
        OSError: if there is no such file.
        UnsafePredictionsError: if it needs a global that predictions do not need; nothing has run.
        RuntimeError: if the file is truncated or holds no predictions.
    """
    try:
        with open(path, 'rb') as file, warnings.catch_warnings():
            # torch warns of the storages that it itself keeps the numbers of tensors in.
            warnings.filterwarnings('ignore', 'TypedStorage is deprecated', UserWarning)
            samples = _PredictionsUnpickler(file).load()
    except UnsafeCheckpointError as error:
        raise UnsafePredictionsError(
            f'Predictions {path} are refused: they ask for {error}, which is not part of '
            'predictions. Nothing of them was executed. Make them with tools/test.py --out.'
        ) from None
    except OSError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise RuntimeError(
            f'Predictions {path} cannot be read; the file may be truncated. Make it again with '
            f'tools/test.py --out. {type(error).__name__}: {error}') from error
    if not isinstance(samples, list) or not all(
            isinstance(sample, dict) and {'img_id', 'pred_instances'} <= sample.keys()
            for sample in samples):
        raise RuntimeError(
            f"Predictions {path} expects a list of images with 'img_id' and 'pred_instances', got "
            'something else. Make the file with tools/test.py --out.')
    return samples
