"""Files as tools for labelling write them: each ends in a plan, or in one clear sentence.

What a tool writes is rebuilt after its documentation, its issues and files that people published.
"""
import unicodedata

import numpy as np
import pytest
from bacl.planning.sides import PlanRefusedError
from pycocotools import mask as coco_masks

PLAIN = [f'{i:03d}.jpg' for i in range(13)]


def bitmap(thing, width=64, height=48):
    """A mask of the whole box of an object."""
    x, y, w, h = thing.box
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[y:y + h, x:x + w] = 1
    return mask


def run_lengths(mask):
    """COCO's uncompressed form."""
    flat = mask.T.ravel()
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *ends, len(flat)]).tolist()
    return dict(size=list(mask.shape), counts=counts if flat[0] == 0 else [0, *counts])


def cvat(data, things):
    """CVAT: attributes, super-categories that are empty, boxes without masks, sub-folders."""
    data.update(licenses=[dict(name='', id=0, url='')],
                info=dict(contributor='', date_created='', description='', url='', version=''))
    for category in data['categories']:
        category['supercategory'] = ''
    for image, name in zip(data['images'], PLAIN, strict=True):
        image.update(file_name=f'batch 1/{name}', license=0, flickr_url='', coco_url='',
                     date_captured=0)
    for annotation in data['annotations']:
        annotation.update(segmentation=[], attributes=dict(occluded=False, rotation=0.0))
    return [f'batch 1/{name}' for name in PLAIN]


def cvat_masks(data, things):
    """CVAT's masks by a brush: run lengths, and every object a crowd."""
    for annotation, thing in zip(data['annotations'], things, strict=True):
        annotation.update(segmentation=run_lengths(bitmap(thing)), iscrowd=1)
    return PLAIN


def label_studio(data, things):
    """Label Studio on Windows: ids from 0, backslashes, a folder that is not there, ignore 0."""
    for image, name in zip(data['images'], PLAIN, strict=True):
        image.update(id=image['id'] - 1, file_name=f'images\\{name}')
    for category in data['categories']:
        category['id'] -= 1
    for annotation in data['annotations']:
        annotation.update(id=annotation['id'] - 1, image_id=annotation['image_id'] - 1,
                          category_id=annotation['category_id'] - 1, segmentation=[], ignore=0)
    return PLAIN


def label_studio_storage(data, things):
    """Its export with images, since 1.16: paths of the folder where the server keeps them."""
    for image, name in zip(data['images'], PLAIN, strict=True):
        image['file_name'] = f'..\\..\\label-studio\\media\\upload\\4\\{name}'
    return PLAIN


def label_studio_local_files(data, things):
    """Its local storage: images as the server is asked for them."""
    for image, name in zip(data['images'], PLAIN, strict=True):
        image['file_name'] = f'/data/local-files/?d=photos%201/{name}'
    return [f'photos 1/{name}' for name in PLAIN]


def roboflow(data, things):
    """Roboflow: ids from 0, a first category that stands for all others, long names."""
    names = [f'{name[:3]}_jpg.rf.0a1b2c{name}' for name in PLAIN]
    for image, name in zip(data['images'], names, strict=True):
        image.update(id=image['id'] - 1, license=1, file_name=name,
                     date_captured='2020-01-01T00:00:00+00:00')
    data['categories'] = [dict(id=0, name='animals', supercategory='none'),
                          *(dict(c, supercategory='animals') for c in data['categories'])]
    for annotation in data['annotations']:
        annotation.update(id=annotation['id'] - 1, image_id=annotation['image_id'] - 1,
                          segmentation=[])
    return names


def roboflow_same_name(data, things):
    """Roboflow where the first category is called like a class."""
    data['categories'] = [dict(id=0, name='cat', supercategory='none'),
                          *(dict(c, supercategory='cat') for c in data['categories'])]
    return PLAIN


def via(data, things):
    """VIA: everything is a text, masks are a flat list."""
    for image in data['images']:
        image.update(id=str(image['id'] - 1), width=str(image['width']),
                     height=str(image['height']))
    for annotation in data['annotations']:
        annotation.update(id=str(annotation['id'] - 1), image_id=str(annotation['image_id'] - 1),
                          segmentation=annotation['segmentation'][0],
                          bbox=[str(value) for value in annotation['bbox']])
    return PLAIN


def labelme2coco(data, things):
    """labelme2coco: categories from 0, absolute paths of another machine."""
    for image, name in zip(data['images'], PLAIN, strict=True):
        image['file_name'] = f'C:\\Users\\me\\labels\\{name}'
    for category in data['categories']:
        category.update(id=category['id'] - 1, supercategory='')
    for annotation in data['annotations']:
        annotation['category_id'] -= 1
    return PLAIN


def coco_annotator(data, things):
    """COCO Annotator: its own fields, false for iscrowd."""
    for image, name in zip(data['images'], PLAIN, strict=True):
        image.update(dataset_id=1, category_ids=[], path=f'/datasets/world/{name}', annotated=True,
                     annotating=[], num_annotations=2, metadata={}, deleted=False, milliseconds=0,
                     events=[], regenerate_thumbnail=False, is_modified=False)
    for annotation in data['annotations']:
        annotation.update(iscrowd=False, isbbox=False, color='#e70b90', metadata={})
    return PLAIN


def supervisely(data, things):
    """Supervisely: large ids, compressed run lengths, images by their project and data set."""
    for image, name in zip(data['images'], PLAIN, strict=True):
        image.update(id=image['id'] + 10**12, file_name=f'ds0/{name}')
    for annotation, thing in zip(data['annotations'], things, strict=True):
        runs = coco_masks.encode(np.asfortranarray(bitmap(thing)))
        annotation.update(image_id=annotation['image_id'] + 10**12,
                          segmentation=dict(runs, counts=runs['counts'].decode()))
    return [f'ds0/img/{name}' for name in PLAIN]


def hasty(data, things):
    """Hasty: masks alone, as run lengths; neither boxes nor areas."""
    for annotation, thing in zip(data['annotations'], things, strict=True):
        runs = coco_masks.encode(np.asfortranarray(bitmap(thing)))
        annotation['segmentation'] = dict(runs, counts=runs['counts'].decode())
        del annotation['bbox'], annotation['area']
    return PLAIN


def azure(data, things):
    """Azure Machine Learning: boxes and polygons in parts of the image, paths of a data store."""
    for image, name in zip(data['images'], PLAIN, strict=True):
        image['file_name'] = f'AmlDatastore://workspaceblobstore/2021/{name}'
    for annotation in data['annotations']:
        x, y, w, h = annotation['bbox']
        annotation.update(
            bbox=[x / 64, y / 48, w / 64, h / 48], area=w * h / 64 / 48,
            segmentation=[(np.array(annotation['segmentation'][0]).reshape(-1, 2)
                           / [64, 48]).ravel().tolist()])
    return PLAIN


def camera_traps(data, things):
    """COCO for camera traps: ids are texts, images without a size, boxes without area or id."""
    for image in data['images']:
        image['id'] = f'site-{image["id"]:02d}'
        del image['width'], image['height']
    for annotation in data['annotations']:
        annotation['image_id'] = f'site-{annotation["image_id"]:02d}'
        for key in ('area', 'segmentation', 'iscrowd', 'id'):
            del annotation[key]
    return PLAIN


def merged(data, things):
    """A script that merged files: annotations that share ids, numbers with a point."""
    for annotation in data['annotations']:
        annotation.update(id=annotation['id'] % 5, image_id=float(annotation['image_id']))
    for category in data['categories']:
        category['id'] = float(category['id'])
    return PLAIN


def unicode(data, things):
    """Names with accents, composed another way than on the disk, in other letters, upper case."""
    names = [f'räume/bild {i} 犬.JPG' for i in range(13)]
    for image, name in zip(data['images'], names, strict=True):
        image['file_name'] = unicodedata.normalize('NFD', name).replace('.JPG', '.jpg')
    return names


def datumaro(data, things):
    """As COCO has it, in sub-folders; images without objects."""
    for image, name in zip(data['images'], PLAIN, strict=True):
        image['file_name'] = f'a/{name}' if image['id'] % 2 else f'b/{name}'
    return [image['file_name'] for image in data['images']]


@pytest.mark.parametrize('write, said', [
    (cvat, None), (cvat_masks, 'are taken as objects'), (label_studio, 'images are named by'),
    (label_studio_storage, 'images are named by'), (label_studio_local_files, 'are named by'),
    (roboflow, "the category 'animals' is left out"),
    (roboflow_same_name, "the category 'cat' is left out"), (via, 'flat list'),
    (labelme2coco, 'images are named by'), (coco_annotator, None), (supervisely, 'are named by'),
    (hasty, 'around their mask'), (azure, 'turned into pixels'),
    (camera_traps, 'width and height of 13 images are read'), (merged, 'have the same id'),
    (unicode, 'images are named by'), (datumaro, None)])
def test_tool_ends_in_a_plan_that_sees_every_object(
        write, said, plan, coco, write_images, labels, truth, things):
    data = coco(PLAIN)
    files = write(data, things)
    made = plan(data, write_images(files), crowds_are_objects=write is cvat_masks)
    assert labels(made) == truth(files)
    notes = '\n'.join(made.notes)
    assert said is None or said in notes
    assert 'empty-image, 1' in notes


@pytest.mark.parametrize('write', [coco_annotator, cvat_masks, supervisely, via, azure, cvat])
def test_masks_of_any_kind_are_pasted_where_all_objects_have_one(
        write, plan, coco, write_images, labels, truth, things):
    data = coco(PLAIN)
    files = write(data, things)
    made = plan(data, write_images(files), gpus=1, memory=11, crowds_are_objects=True)
    assert bool(made.settings.canvas) == (write is not cvat)
    if made.settings.canvas:
        assert labels(made) == truth(files)


def test_placeholders_for_what_a_script_does_not_know_are_taken_as_such(
        plan, coco, write_images, labels, truth):
    data = coco(PLAIN)
    for image in data['images']:
        image.update(width=64.0, height=48.0)
    for annotation in data['annotations']:
        annotation.update(area=0, iscrowd=None)
    for category in data['categories']:
        category['frequency'] = 'often'
    data['categories'].insert(0, dict(id=0, name='_background_', supercategory=None))
    made = plan(data, write_images(PLAIN))
    assert labels(made) == truth(PLAIN)
    notes = '\n'.join(made.notes)
    for said in ('width and height of 13 images are taken as whole numbers', '20 flags',
                 "the category '_background_' is left out", "the 'frequency' of categories is left",
                 '20 annotations without an area get that of their mask'):
        assert said in notes


def test_areas_as_text_are_numbers_and_one_of_0_is_0(plan, coco, write_images, labels, truth):
    data = coco(PLAIN)
    for annotation in data['annotations']:
        annotation['area'] = str(annotation['area'])
    made = plan(data, write_images(PLAIN))
    assert labels(made) == truth(PLAIN)
    assert '20 areas that are written as text' in '\n'.join(made.notes)
    data['annotations'][0]['area'] = '0'
    assert 'small-box, 1' in '\n'.join(plan(data, write_images(PLAIN)).notes)


def test_what_may_be_a_mistake_is_told_with_its_cure(plan, coco, write_images):
    data = coco(PLAIN)
    for annotation in data['annotations']:
        x, y, w, h = annotation['bbox']
        annotation.update(bbox=[x, y, x + w, y + h], iscrowd=annotation['id'] % 4 == 1)
    notes = '\n'.join(plan(data, write_images(PLAIN)).notes)
    assert 'If boxes are [x1, y1, x2, y2]: write [x, y, width, height].' in notes
    assert '--crowds-are-objects' in notes


def change(data, where, **values):
    data[where][0].update(values)
    return data


@pytest.mark.parametrize('spoil, message', [
    (lambda data: [data], 'is a list, not COCO'),
    (lambda data: dict(_via_img_metadata={}, _via_settings={}), 'is a project of VIA'),
    (lambda data: dict(version='5.0.1', shapes=[], imagePath='a.jpg'), 'of one image, by LabelMe'),
    (lambda data: dict(data, videos=[], images=None), 'is of videos'),
    (lambda data: dict(info={}, files=[]), "has no list 'images'"),
    (lambda data: change(data, 'annotations', category_id=None),  # VIA, of a text
     r'unknown-category, 1: .*annotation 1 of category None'),
    (lambda data: change(data, 'annotations', image_id='x'), 'unknown-image, 1: .*annotation 1 of'),
    (lambda data: change(data, 'annotations', bbox=[1, 2, -3, 4]), 'negative-box, 1: .*image 1'),
    (lambda data: change(data, 'annotations', bbox=None, segmentation=None), "'bbox'|bad-box"),
    (lambda data: change(data, 'annotations', iscrowd='no'), 'bad-flag, 1'),
    (lambda data: change(data, 'images', file_name='gone.jpg'),
     'missing-image, 1: .*image 1: gone.jpg'),
    (lambda data: change(data, 'images', file_name=None), 'bad-image, 1'),
    (lambda data: change(data, 'images', width=65), 'other-size, 1: .*64 x 48, annotated as 65 x'),
    (lambda data: change(data, 'images', id=2), "duplicate-id, 1: .*image 2"),
    (lambda data: change(data, 'categories', name='dog'), "duplicate-id, 1: .*category 'dog'"),
    (lambda data: dict(data, annotations=[]), 'no-annotations'),
    (lambda data: dict(data, annotations=[dict(a, iscrowd=1) for a in data['annotations']]),
     r'(?s)nothing-left.*20 annotations have iscrowd 1.*--crowds-are-objects'),
    (lambda data: dict(data, annotations=data['annotations'][:1]),
     'no image with objects can be spared')])
def test_what_cannot_be_repaired_is_one_sentence(
        spoil, message, plan, coco, write_images, tmp_path):
    with pytest.raises(ValueError, match=message) as error:
        plan(spoil(coco(PLAIN)), write_images(PLAIN))
    assert 'train_ann.json' in str(error.value)
    assert not (tmp_path / 'configs').exists()


def test_images_that_are_not_there_or_in_two_folders_are_named(plan, coco, write_images, tmp_path):
    write_images(PLAIN[:3], 'images/a')
    with pytest.raises(PlanRefusedError, match=r'missing-image, 10: .*image 4: 003.jpg'):
        plan(coco(PLAIN), tmp_path / 'images')
    write_images(PLAIN, 'images/b')
    with pytest.raises(PlanRefusedError, match=r"image 1, '000.jpg': a/000.jpg, b/000.jpg"):
        plan(coco(PLAIN), tmp_path / 'images')
    with pytest.raises(FileNotFoundError, match='--images expects a folder'):
        plan(coco(PLAIN), tmp_path / 'photos')


def test_broken_image_is_named(plan, coco, write_images):
    folder = write_images(PLAIN)
    (folder / PLAIN[0]).write_bytes(b'no image')
    with pytest.raises(PlanRefusedError, match='broken-image, 1: .*image 1: .*000.jpg'):
        plan(coco(PLAIN), folder)
    plan(coco(PLAIN), folder, num_opened=0)


def test_no_more_images_are_opened_than_asked_for(plan, coco, write_images):
    folder = write_images(PLAIN)
    for name in PLAIN[1::2]:
        (folder / name).write_bytes(b'no image')
    plan(coco(PLAIN), folder, num_opened=7)
