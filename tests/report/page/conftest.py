"""A data set of three classes and two runs, small enough to say what a report has to show."""
import json
import os
import shutil
import time

import numpy as np
import pytest
from bacl.annotations.coco import coco_class_table
from bacl.evaluation import Detections, evaluate_detections, evaluate_fixed
from bacl.report.page import Run, Validation
from bacl.report.results import match_lvis
from PIL import Image

NAMES = ('many', '<script>alert(1)</script>', 'absent')
# Image, class, box; the second object of image 3 is the only one of the rare class there.
OBJECTS = [(1, 11, (10, 10, 20, 20)), (1, 11, (50, 10, 20, 20)), (2, 11, (5, 5, 30, 30)),
           (3, 11, (10, 10, 20, 20)), (3, 22, (50, 30, 20, 10)), (4, 22, (20, 20, 40, 20))]


@pytest.fixture(scope='session')
def annotations():
    """LVIS annotations; every class is labelled in every image, the ids are not in label order."""
    categories = [dict(id=22, name=NAMES[1], frequency='r', image_count=2, instance_count=3),
                  dict(id=11, name=NAMES[0], frequency='f', image_count=300, instance_count=400),
                  dict(id=33, name=NAMES[2], frequency='c', image_count=20, instance_count=25)]
    return dict(
        images=[dict(id=i, width=100, height=60, file_name=f'{i}.png', coco_url=f'{i}.png',
                     neg_category_ids=[11, 22, 33], not_exhaustive_category_ids=[])
                for i in range(1, 5)],
        annotations=[dict(id=number, image_id=image, category_id=category, bbox=list(box),
                          area=box[2] * box[3], iscrowd=0)
                     for number, (image, category, box) in enumerate(OBJECTS, start=1)],
        categories=categories)


@pytest.fixture(scope='session')
def image_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('images')
    for number in range(1, 5):
        Image.new('RGB', (100, 60), (50 * number, 90, 30)).save(folder / f'{number}.png')
    return folder


@pytest.fixture(scope='session')
def validation(annotations, image_folder):
    return Validation(annotations, 'val.json', coco_class_table(annotations, 'val.json'),
                      lambda image: str(image_folder / image['file_name']), 'LVIS', 300)


@pytest.fixture(scope='session')
def make_run(annotations):
    """A function that makes a run of detections (image, class, box, score)."""

    def make(name, found):
        boxes = np.array([box for _, _, box, _ in found], dtype=float).reshape(-1, 4)
        detections = Detections(
            np.array([image for image, *_ in found], dtype=np.int64),
            np.array([category for _, category, *_ in found], dtype=np.int64),
            np.array([score for *_, score in found], dtype=float),
            boxes[:, 2] * boxes[:, 3], boxes)
        return Run(name, match_lvis(annotations, detections),
                   evaluate_detections(annotations, detections),
                   evaluate_fixed(annotations, detections))

    return make


@pytest.fixture(scope='session')
def runs(make_run):
    """The first finds what is frequent and takes the rare class for it; the last mends image 4."""
    frequent = [(image, 11, box, 0.9) for image, category, box in OBJECTS if category == 11]
    rare = [(image, category, box, 0.4) for image, category, box in OBJECTS if category == 22]
    return [make_run('first', frequent + [(image, 11, box, 0.6) for image, _, box, _ in rare]),
            make_run('last', frequent[1:] + rare)]


class Browser:
    """A headless Chromium.

    Attributes:
        driver: of selenium.
    """

    def __init__(self, driver):
        self.driver = driver

    def open(self, page, address='', width=1280, scheme='light'):
        """Open a page of the disk, with a size and a colour scheme; return the CPU seconds."""
        self.command('Emulation.setDeviceMetricsOverride', width=width, height=900,
                     deviceScaleFactor=1, mobile=width < 600)
        self.command('Emulation.setEmulatedMedia', features=[
            dict(name='prefers-color-scheme', value=scheme)])
        self.command('Performance.enable', timeDomain='threadTicks')
        for kind in ('browser', 'performance'):
            self.driver.get_log(kind)
        self.driver.get('about:blank')
        before = self.cpu_time()
        self.driver.get(f'{page.as_uri()}{address}')
        return self.cpu_time() - before

    def cpu_time(self):
        metrics = self.command('Performance.getMetrics')['metrics']
        return next(m['value'] for m in metrics if m['name'] == 'ThreadTime')

    def command(self, name, **arguments):
        return self.driver.execute_cdp_cmd(name, arguments)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def wait_for(self, script):
        """Wait until a script returns something true."""
        end = time.monotonic() + 60
        while not self.run(script):
            assert time.monotonic() < end, f'{script} stays false'
            time.sleep(0.05)

    def draw_all_charts(self):
        self.wait_for('return typeof Plotly !== "undefined"')
        self.run('charts.forEach(draw)')

    def errors(self):
        return [entry['message'] for entry in self.driver.get_log('browser')
                if entry['level'] == 'SEVERE']

    def requested(self):
        """Addresses of other things than the page that were asked for."""
        messages = [json.loads(entry['message'])['message']
                    for entry in self.driver.get_log('performance')]
        addresses = [m['params']['request']['url'] for m in messages
                     if m['method'] == 'Network.requestWillBeSent']
        return [a for a in addresses if not a.startswith(('data:', 'about:', 'file:', 'blob:'))]


@pytest.fixture(scope='session')
def browser():
    webdriver = pytest.importorskip('selenium.webdriver')
    chromium, chromedriver = shutil.which('chromium'), shutil.which('chromedriver')
    if not (chromium and chromedriver):
        pytest.skip('needs chromium and chromedriver (Debian: chromium, chromium-driver)')
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ('--headless=new', '--disable-dev-shm-usage', '--disable-gpu'):
        options.add_argument(argument)
    if hasattr(os, 'geteuid') and os.geteuid() == 0:
        options.add_argument('--no-sandbox')  # Chromium refuses to be run by root otherwise
    options.set_capability('goog:loggingPrefs', dict(browser='ALL', performance='ALL'))
    driver = webdriver.Chrome(options, webdriver.ChromeService(chromedriver))
    yield Browser(driver)
    driver.quit()
