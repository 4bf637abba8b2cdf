"""Reading of safetensors files, which hold tensors and nothing that could run."""
import json
import struct

import torch
from torch import Tensor

DTYPES = {'F64': torch.float64, 'F32': torch.float32, 'F16': torch.float16, 'BF16': torch.bfloat16,
          'I64': torch.int64, 'I32': torch.int32, 'U8': torch.uint8, 'BOOL': torch.bool}


def read_safetensors(content: bytes, name: str) -> dict[str, Tensor]:
    """Tensors of a safetensors file, by their names.

    The format is the length of a header (8 bytes, little-endian), the header in JSON with type,
    shape and place of each tensor, and their bytes.

    Args:
        content: of the file.
        name: of the file, for the message.

    Raises:
        RuntimeError: if the file is truncated or of another format.
    """
    try:
        (length,) = struct.unpack('<Q', content[:8])
        header = json.loads(content[8:8 + length])
        # A copy: torch warns of memory that must not be written to.
        data = torch.frombuffer(bytearray(content[8 + length:] + b'\0'), dtype=torch.uint8)[:-1]
        tensors = {}
        for key, entry in header.items():
            if key != '__metadata__':
                start, end = entry['data_offsets']
                if end > len(data):
                    raise ValueError(f'{key} ends beyond the file')
                # A copy begins where its type may; the place in the file need not.
                tensors[key] = data[start:end].clone().view(
                    DTYPES[entry['dtype']]).view(entry['shape'])
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, struct.error) as error:
        raise RuntimeError(f'{name} is no whole safetensors file; copy or download it again. '
                           f'{type(error).__name__}: {error}') from error
    return tensors
