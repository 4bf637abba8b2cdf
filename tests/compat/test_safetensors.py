import json
import struct

import bacl  # noqa: F401
import pytest
import torch
from bacl.compat.safetensors import read_safetensors


def content(entry, data=b'\x01\x00\x00\x00\x02\x00\x00\x00'):
    header = json.dumps({'__metadata__': {'format': 'pt'}, 'x': entry}).encode()
    return struct.pack('<Q', len(header)) + header + data


def test_tensors_come_with_name_type_and_shape():
    whole = content(dict(dtype='I32', shape=[2, 1], data_offsets=[0, 8]))
    assert torch.equal(read_safetensors(whole, 'a')['x'],
                       torch.tensor([[1], [2]], dtype=torch.int32))


@pytest.mark.parametrize('faulty', [
    b'', b'\xff' * 20, content(dict(dtype='I32', shape=[2, 1], data_offsets=[0, 8]), b'\x01'),
    content(dict(dtype='X9', shape=[2], data_offsets=[0, 8])), content(dict(dtype='I32')),
    content(dict(dtype='I32', shape=[3], data_offsets=[0, 8]))])
def test_other_files_are_named(faulty):
    with pytest.raises(RuntimeError, match=r'weights\.safetensors is no whole safetensors file'):
        read_safetensors(faulty, 'weights.safetensors')
