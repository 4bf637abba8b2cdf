"""Charts of a dataset: what is imbalanced before any training."""
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from bacl.visualization.group_styles import GroupStyles

from ..measures.box_geometry import Pyramid, aspect_ratios
from ..measures.class_balance import gini, image_counts, instance_counts, lorenz_curve, shares
from ..measures.histograms import count_bins, grouped_histogram
from ..measures.image_content import classes_per_image, objects_per_image
from ..measures.location import centre_map, coverage_map
from ..objects import ObjectTable
from .base import Figure
from .layout import NEUTRAL
from .series import SERIES_COLOURS, level_names, new_chart

__all__ = ['dataset_figures']

BINS_PER_OCTAVE = 4
WIDEST = 8  # aspect ratio; wider and narrower boxes are in the outermost bins


def dataset_figures(train: ObjectTable, val: ObjectTable | None = None,
                    pyramid: Pyramid | None = None) -> list[Figure]:
    """All charts of a dataset.

    Args:
        train: the training set.
        val: the validation set, with the same classes; only its class counts are shown.
        pyramid: how the detector sees objects; None for that of the usual Faster R-CNN.

    Raises:
        ValueError: if the classes differ, or the training set has no object.
    """
    if not len(train.label):
        raise ValueError('dataset_figures(train=) expects a dataset with objects, got none in '
                         f'{train.num_images} images.')
    if val is not None and train.classes.names != val.classes.names:
        raise ValueError(f'dataset_figures(val=) expects the {train.num_classes} classes of train, '
                         f'got {val.num_classes} others. Give two parts of one dataset.')
    pyramid = pyramid or Pyramid()
    return [class_frequency_figure(train, val), cumulative_share_figure(train, val),
            box_size_figure(train, pyramid), level_share_figure(train, pyramid),
            aspect_ratio_figure(train), centre_figure(train), coverage_figure(train),
            image_content_figure(train)]


def class_frequency_figure(train: ObjectTable, val: ObjectTable | None = None) -> Figure:
    """Instances and images of each class, by rank."""
    frame = pd.DataFrame(dict(
        class_name=train.classes.names, group=train.classes.group_keys(),
        train_instances=instance_counts(train.label, train.num_classes),
        train_images=image_counts(train.image, train.label, train.num_classes)))
    if val is not None:
        frame['val_instances'] = instance_counts(val.label, val.num_classes)
    frame = frame.sort_values(['train_instances', 'train_images'], ascending=False,
                              kind='stable', ignore_index=True)
    frame.insert(0, 'rank', np.arange(1, len(frame) + 1))

    chart = new_chart('class (rank by training instances)', 'count (log scale)',
                      yaxis_type='log', yaxis_dtick=1, legend_itemsizing='constant')
    groups = GroupStyles(train.classes.groups)
    for group in groups.present(frame['group']):
        part = frame[(frame['group'] == group) & (frame['train_instances'] > 0)]
        chart.add_scatter(x=part['rank'], y=part['train_instances'], mode='markers',
                          name=f'training instances, {groups.label(group)}',
                          marker=dict(groups.style(group), size=6), text=part['class_name'],
                          hovertemplate='%{text}<br>rank %{x}, %{y:,} instances<extra></extra>')
    lines = [('train_images', 'training images', SERIES_COLOURS[3])]
    if val is not None:
        lines.append(('val_instances', 'validation instances', NEUTRAL))
    for column, name, colour in lines:
        present = frame[frame[column] > 0]
        chart.add_scatter(x=present['rank'], y=present[column], name=name, mode='markers',
                          marker=dict(color=colour, size=3, opacity=0.6),
                          text=present['class_name'],
                          hovertemplate='%{text}<br>%{y:,} ' + name + '<extra></extra>')
    num_empty = int((frame['train_instances'] == 0).sum())
    return Figure(
        'class_frequency', 'How often each class occurs',
        f'One point per class and kind of count. {num_empty} of {train.num_classes} classes have '
        'no training instance; counts of 0 have no place on a log scale and are left out.',
        frame, chart)


def cumulative_share_figure(train: ObjectTable, val: ObjectTable | None = None) -> Figure:
    """Lorenz curves of instances and images over the classes."""
    num_classes = train.num_classes
    counts = {'train_instances': instance_counts(train.label, num_classes),
              'train_images': image_counts(train.image, train.label, num_classes)}
    if val is not None and len(val.label):
        counts['val_instances'] = instance_counts(val.label, num_classes)
    names = dict(train_instances='training instances', train_images='training images',
                 val_instances='validation instances')
    frame = pd.DataFrame({'classes_percent': np.linspace(0, 100, num_classes + 1)})
    chart = new_chart('classes, rarest first (%)', 'share that they have together (%)',
                      hovermode='x unified')
    for (column, count), colour in zip(counts.items(), SERIES_COLOURS, strict=False):
        frame[f'{column}_percent'] = 100 * lorenz_curve(count)
        chart.add_scatter(x=frame['classes_percent'], y=frame[f'{column}_percent'], mode='lines',
                          name=f'{names[column]} (Gini {gini(count):.2f})',
                          line=dict(color=colour, width=2), hovertemplate='%{y:.1f} %')
    chart.add_scatter(x=[0, 100], y=[0, 100], mode='lines', name='equal counts (Gini 0)',
                      line=dict(color=NEUTRAL, dash='dash'), hoverinfo='skip')
    falling = np.sort(counts['train_instances'])[::-1].cumsum()
    num_half = int((2 * falling < falling[-1]).sum()) + 1
    return Figure(
        'cumulative_share', 'How uneven the classes are',
        'Lorenz curve: the further it hangs below the diagonal, the more uneven; the Gini '
        'coefficient is twice the area between them. The most frequent '
        f'{num_half} of {num_classes} classes have half of the training instances.',
        frame, chart)


def box_size_figure(table: ObjectTable, pyramid: Pyramid) -> Figure:
    """Histogram of box sizes within each group, with the borders of the pyramid's levels."""
    side = pyramid.sides(table.box, table.image, table.image_sizes)
    side = np.where(side > 0, side, np.nan)
    num_flat = int(np.isnan(side).sum())
    # Borders of levels are borders of bins.
    octave = np.log2(side / pyramid.finest_scale)
    first, last = (0, 0) if num_flat == len(side) else \
        (np.floor(np.nanmin(octave)), np.floor(np.nanmax(octave)) + 1)
    first = max(first, np.floor(np.log2(1 / pyramid.finest_scale)))  # about a pixel
    last = max(last, first + 1)
    edges = pyramid.finest_scale * 2**np.arange(first, last + 1e-9, 1 / BINS_PER_OCTAVE)
    middle = np.sqrt(edges[:-1] * edges[1:])
    levels = np.array(level_names(pyramid.strides))[pyramid.levels(middle)]
    frame = _group_frame(table, side, edges, dict(
        side_from_px=edges[:-1], side_to_px=edges[1:], level=levels))
    chart = new_chart('box side √(width × height) (px, log scale)',
                      'objects of the group (%)')
    _add_group_lines(chart, frame, GroupStyles(table.classes.groups), middle)
    ticks = 2.0**np.arange(np.floor(np.log2(edges[0])), np.ceil(np.log2(edges[-1])) + 1)
    chart.update_xaxes(type='log', tickvals=ticks, ticktext=[f'{tick:g}' for tick in ticks],
                       range=np.log10(edges[[0, -1]]).tolist())
    for border in pyramid.borders[(pyramid.borders > edges[0]) & (pyramid.borders < edges[-1])]:
        chart.add_vline(x=border, line=dict(color=NEUTRAL, dash='dot', width=1))
    for level in dict.fromkeys(levels):
        inside = middle[levels == level]
        chart.add_annotation(x=np.log10(np.sqrt(inside[0] * inside[-1])), y=1, yref='paper',
                             text=level.split()[0], showarrow=False, yanchor='top')
    return Figure(
        'box_size', 'Size of the objects',
        f'{_resized(pyramid)} Dotted lines are the borders between the levels of the feature '
        'pyramid that boxes are assigned to. Boxes below a pixel are in the first bin; '
        f'{num_flat} without area are left out.', frame, chart)


def level_share_figure(table: ObjectTable, pyramid: Pyramid) -> Figure:
    """Share of each group's objects on each level of the pyramid."""
    levels = pyramid.levels(pyramid.sides(table.box, table.image, table.image_sizes))
    names = level_names(pyramid.strides)
    frame = _group_frame(table, levels, np.arange(len(names) + 1), dict(level=names))
    chart = new_chart('level of the feature pyramid', 'objects of the group (%)', barmode='group')
    groups = GroupStyles(table.classes.groups)
    for group, part in frame.groupby('group', sort=False):
        chart.add_bar(x=part['level'], y=part['share_percent'], name=groups.label(group),
                      marker_color=groups.style(group)['color'], customdata=part['objects'],
                      hovertemplate='%{y:.1f} %, %{customdata:,} objects')
    return Figure(
        'level_share', 'Levels of the feature pyramid',
        f'Where the RoI extractor takes the features of the annotated boxes. {_resized(pyramid)}',
        frame, chart)


def aspect_ratio_figure(table: ObjectTable) -> Figure:
    """Histogram of the aspect ratio within each group."""
    ratio = aspect_ratios(table.box)
    octaves = int(np.log2(WIDEST))
    # One is in the middle of a bin: squares are frequent, and rounding would part them.
    log_edges = (np.arange(-octaves * BINS_PER_OCTAVE, octaves * BINS_PER_OCTAVE + 2) - 0.5) \
        / BINS_PER_OCTAVE
    edges = 2.0**log_edges
    frame = _group_frame(table, ratio, edges, dict(ratio_from=edges[:-1], ratio_to=edges[1:]))
    chart = new_chart('width : height (log scale)', 'objects of the group (%)')
    _add_group_lines(chart, frame, GroupStyles(table.classes.groups),
                     np.sqrt(edges[:-1] * edges[1:]))
    powers = range(-octaves, octaves + 1)
    chart.update_xaxes(type='log', tickvals=[2.0**power for power in powers], ticktext=[
        f'{2**power}:1' if power > 0 else f'1:{2**-power}' for power in powers])
    return Figure(
        'aspect_ratio', 'Shape of the objects',
        f'Boxes wider than {WIDEST}:1 or narrower than 1:{WIDEST} are in the outermost bins; '
        f'{int(np.isnan(ratio).sum())} boxes without area are left out.', frame, chart)


def centre_figure(table: ObjectTable) -> Figure:
    """Density of the objects' centres over the image."""
    counts = centre_map(table.box, table.image_sizes[table.image])
    density = counts / counts.mean()
    frame = _cell_frame(dict(objects=counts, times_even_density=density))
    chart = _heat_map(density, 'times the<br>even density', '%{z:.2f} times the even density')
    return Figure(
        'object_centres', 'Where objects are: centres',
        'Density of the box centres over all images, each stretched to the same square; 1 is what '
        'every cell would have if all places were equally likely.', frame, chart)


def coverage_figure(table: ObjectTable) -> Figure:
    """Share of the objects that cover each place of the image."""
    covered = 100 * coverage_map(table.box, table.image_sizes[table.image])
    frame = _cell_frame(dict(covering_objects_percent=covered))
    chart = _heat_map(covered, 'objects (%)', 'covered by %{z:.2f} % of the objects')
    return Figure(
        'object_coverage', 'Where objects are: areas',
        'Share of the objects whose box covers the place; large objects count in many places.',
        frame, chart)


def image_content_figure(table: ObjectTable) -> Figure:
    """Histogram of the number of objects, and of classes, per image."""
    objects = objects_per_image(table.image, table.num_images)
    classes = classes_per_image(table.image, table.label, table.num_images, table.num_classes)
    starts, names = count_bins(objects)
    frame = pd.DataFrame(dict(number_per_image=names))
    chart = new_chart('number in the image', 'images (%)', barmode='group')
    for (name, counts), colour in zip((('objects', objects), ('classes', classes)),
                                      SERIES_COLOURS, strict=False):
        bins = np.searchsorted(starts, counts, side='right') - 1
        frame[f'images_by_{name}'] = np.bincount(bins, minlength=len(starts))
        chart.add_bar(x=names, y=100 * shares(frame[f'images_by_{name}'].to_numpy()),
                      name=f'{name} (mean {counts.mean():.1f}, most {counts.max():,})',
                      marker_color=colour, customdata=frame[f'images_by_{name}'],
                      hovertemplate='%{x} ' + name
                      + ': %{y:.1f} %, %{customdata:,} images<extra></extra>')
    chart.update_xaxes(type='category')
    return Figure(
        'image_content', 'How much is in an image',
        'Objects and different classes per image. An image of many objects of few classes makes a '
        'batch more imbalanced than the dataset.', frame, chart)


def _resized(pyramid: Pyramid) -> str:
    if pyramid.scale is None:
        return 'Sizes are those of the original images.'
    longer, shorter = max(pyramid.scale), min(pyramid.scale)
    return (f'Sizes are those after resizing to at most {longer} px for the longer and '
            f'{shorter} px for the shorter side.')


def _group_frame(table: ObjectTable, values: np.ndarray, edges: np.ndarray,
                 columns: dict[str, np.ndarray]) -> pd.DataFrame:
    """Counts and shares of objects per group and bin, one row each."""
    classes = table.classes
    counts = grouped_histogram(values, edges, classes.group[table.label], len(classes.groups))
    return pd.concat([pd.DataFrame(dict(group=classes.groups[group].key, **columns,
                                        objects=counts[group],
                                        share_percent=100 * shares(counts[group])))
                      for group in np.unique(classes.group)], ignore_index=True)


def _add_group_lines(chart: go.Figure, frame: pd.DataFrame, groups: GroupStyles,
                     middle: np.ndarray) -> None:
    """A stepped line per group over the middles of the bins."""
    for group, part in frame.groupby('group', sort=False):
        chart.add_scatter(
            x=middle, y=part['share_percent'], mode='lines+markers', name=groups.label(group),
            line=dict(color=groups.style(group)['color'], shape='hvh', width=2),
            marker=dict(groups.style(group), size=5), customdata=part['objects'],
            hovertemplate='%{x:.3g}: %{y:.1f} %, %{customdata:,} objects')


def _heat_map(values: np.ndarray, unit: str, hover: str) -> go.Figure:
    """Cells over an image whose sides are 0 to 100 %."""
    num_cells = len(values)
    place = (np.arange(num_cells) + 0.5) * 100 / num_cells
    chart = new_chart('from the left (% of the width)', 'from the top (% of the height)')
    chart.add_heatmap(x=place, y=place, z=values.round(4), colorscale='Cividis',
                      colorbar=dict(title=unit), hovertemplate=hover
                      + '<br>%{x:.0f} % from the left, %{y:.0f} % from the top<extra></extra>')
    chart.update_yaxes(range=[100, 0], scaleanchor='x', constrain='domain', showgrid=False)
    chart.update_xaxes(range=[0, 100], constrain='domain', showgrid=False)
    return chart


def _cell_frame(values: dict[str, np.ndarray]) -> pd.DataFrame:
    """One row per cell of a grid over the image."""
    num_cells = len(next(iter(values.values())))
    row, column = np.divmod(np.arange(num_cells**2), num_cells)
    start = 100 / num_cells
    return pd.DataFrame(dict(from_left_percent=column * start, from_top_percent=row * start,
                             **{name: value.ravel() for name, value in values.items()}))
