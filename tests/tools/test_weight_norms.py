import json
import sys

import pytest
import torch


@pytest.fixture
def train(write_lvis, tmp_path):
    """Leave behind what a training does that ends with given norms of its classes."""
    (tmp_path / 'data').mkdir()
    data = write_lvis(tmp_path / 'data', 'v1')

    def train(folder, norms, result=None):
        folder = tmp_path / folder
        folder.mkdir(parents=True)
        dataset = dict(type='LongTailLVISV1Dataset', data_root=str(data), pipeline=[],
                       data_prefix=dict(img=''),
                       ann_file='annotations/lvis_v1_train.json')
        (folder / 'config.py').write_text(f"""
train_dataloader = dict(dataset=dict(type='RepeatDataset', times=2, dataset={dataset}))
default_scope = 'mmdet'
""")
        weight = torch.zeros(len(norms) + 1, 4)
        weight[:-1, 1] = torch.tensor(norms)
        weight[-1] = 99.0  # background
        torch.save(dict(state_dict={'roi_head.bbox_head.fc_cls.weight': weight}),
                   folder / 'epoch_2.pth')
        if result:
            (folder / 'training.json').write_text(json.dumps(result))
        return folder

    return train


@pytest.fixture
def table(load_tool, monkeypatch, capsys):
    """Run the tool; return the cells of its rows."""
    tool = load_tool('analysis_tools/weight_norms.py')

    def table(*folders):
        monkeypatch.setattr(sys, 'argv', ['weight_norms.py', *map(str, folders)])
        tool.main()
        return [[cell.strip() for cell in line.strip('| \n').split(' | ')]
                for line in capsys.readouterr().out.splitlines()]

    return table


def test_norms_of_trainings_and_of_the_seeds_of_a_sweep(train, table, tmp_path):
    plain = train('plain', [2.0, 4.0, 3.0])  # of 2 images and rare, 4 and frequent, 1 and common
    for seed, norms in enumerate(([3.0, 1.0, 5.0], [4.0, 2.0, 6.0])):
        train(f'sgd/trainings/{seed}', norms, dict(config='a/b.py', settings={'lr': 0.1}))
    train('sgd/trainings/2', [1.0, 1.0, 1.0])  # not finished
    head, _, first, second = table(plain, tmp_path / 'sgd')
    assert head == ['training', 'runs', 'mean', 'r / mean', 'c / mean', 'f / mean',
                    'rank correlation']
    assert first == ['plain', '1', '3.00', '0.67', '1.00', '1.33', '0.50']
    assert second[:4] == ['sgd: b lr=0.1', '2', '3.50 ± 0.71', '1.00 ± 0.00']
    assert second[-1] == '-1.00 ± 0.00'


def test_what_is_missing_is_named(train, table, tmp_path):
    (tmp_path / 'sweep/trainings').mkdir(parents=True)
    with pytest.raises(SystemExit, match='sweep/trainings has no folder with training.json'):
        table(tmp_path / 'sweep')
    folder = train('plain', [1.0, 2.0, 3.0])
    (folder / 'epoch_2.pth').unlink()
    with pytest.raises(SystemExit, match='plain expects a config .* and a checkpoint'):
        table(folder)
