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


def test_a_tensor_may_begin_anywhere_and_may_be_empty():
    shifted = content(dict(dtype='I32', shape=[1], data_offsets=[1, 5]),
                      b'\xff\x07\x00\x00\x00')
    assert read_safetensors(shifted, 'a')['x'].tolist() == [7]
    empty = content(dict(dtype='F32', shape=[0, 3], data_offsets=[0, 0]), b'')
    assert read_safetensors(empty, 'a')['x'].shape == (0, 3)


@pytest.mark.parametrize('faulty', [
    b'', b'\xff' * 20, content(dict(dtype='I32', shape=[2, 1], data_offsets=[0, 8]), b'\x01'),
    content(dict(dtype='X9', shape=[2], data_offsets=[0, 8])), content(dict(dtype='I32')),
    content(dict(dtype='I32', shape=[3], data_offsets=[0, 8]))])
def test_other_files_are_named(faulty):
    with pytest.raises(RuntimeError, match=r'weights\.safetensors is no whole safetensors file'):
        read_safetensors(faulty, 'weights.safetensors')
