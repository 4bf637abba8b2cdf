"""From a COCO file of your own to a detector that sees its tail, step by step.

Cells begin with `# %%`: editors show them as a notebook, and `python tools/tutorials/own_data.py`
runs all, in the root of the checkout, in a few minutes on a CPU. Run again, it goes on where it
stopped.
"""
# %% [markdown]
# # 1. A COCO file
# Here the package makes the images, 140 pictures with small drawings of 24 kinds. Of their
# annotations we keep what a tool for labelling exports: nothing of LVIS's groups, one file for all.

# %%
import json
import subprocess
import sys
from pathlib import Path

from bacl.datasets.json_files import write_json

EPOCHS = 2  # a trial; without --epochs the plan takes as many as the data need


def run(program, *arguments):
    """Run a tool, as in a shell."""
    start = ['bash'] if program.endswith('.sh') else [sys.executable]
    subprocess.run([*start, program, *map(str, arguments)], check=True)


images = Path('data/emoji_lt/smoke')
run('tools/dataset_tools/build_emoji_lt.py', '--preset', 'smoke', '--out', images)

lvis = json.loads((images / 'annotations/emoji_lt_train.json').read_text())
coco = dict(
    images=[{key: image[key] for key in ('id', 'file_name', 'width', 'height')}
            for image in lvis['images']],
    annotations=[{key: annotation[key] for key in (
        'id', 'image_id', 'category_id', 'bbox', 'area', 'iscrowd', 'segmentation')}
        for annotation in lvis['annotations']],
    categories=[{key: category[key] for key in ('id', 'name')}
                for category in lvis['categories']])
own = Path('data/tutorial/all.json')
write_json(own, coco)

# %% [markdown]
# # 2. A plan
# It splits the images, so that every class is on both sides where it can be, looks at the data and
# writes configs. Their README has every decision and its reason.

# %%
folder = Path('configs/tutorial')
run('tools/plan.py', '--train', own, '--images', images, '--name', folder.name, '--gpus', 0,
    '--detector', 'faster-rcnn_effnet-lite0_fpn', '--epochs', EPOCHS)
print((folder / 'README.md').read_text())

# %% [markdown]
# # 3. Training
# Stage 1, the plain baseline, BACL; then tests, the calibration of the baseline, and the report.

# %%
run('tools/run_plan.sh', folder)
work_dir = Path('work_dirs/tutorial')
print((work_dir / 'table.md').read_text())

# %% [markdown]
# # 4. The report
# One HTML page, which opens from the disk: what is imbalanced, what each run finds, and what fails.

# %%
print((work_dir / 'report/index.html').resolve())

# %% [markdown]
# # 5. Calibration
# Another calibrator for BACL, whose classifier is a sigmoid. Nothing is trained: the detector runs
# once over held-out training images, and its scores are changed in several ways.

# %%
configs = json.loads((folder / 'plan.json').read_text())['configs']
config = folder / f'{configs["stage2"]}.py'
run_dir = work_dir / configs['stage2']
checkpoint = max(run_dir.glob('epoch_*.pth'), key=lambda path: int(path.stem.split('_')[1]))
run('tools/calibrate.py', config, checkpoint, '--work-dir', run_dir,
    '--calibrator', 'LogitAdjustment', '--sweep', 'tau=0:1:0.25')
calibrated = run_dir / 'calibration' / f'{config.stem}_LogitAdjustment.py'

# %% [markdown]
# # 6. Prediction
# On images that training has not seen: pictures with boxes, and a COCO file of the detections.

# %%
held_back = json.loads(Path('data/tutorial/annotations/val.json').read_text())['images']
listed = work_dir / 'images.txt'
listed.write_text('\n'.join(str((images / image['file_name']).resolve()) for image in held_back))
run('tools/predict.py', calibrated, checkpoint, listed, '--out', work_dir / 'predictions')
