"""Charts of a training: what it made of the imbalances of its data."""
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from bacl.annotations import ClassTable
from bacl.engine.probing.training_record import TrainingRecord
from bacl.visualization.group_styles import GroupStyles

from ..measures.class_balance import shares
from .base import Figure
from .layout import NEUTRAL
from .series import SERIES_COLOURS, level_names, new_chart

__all__ = ['training_figures']

MAX_POINTS = 200  # on a time axis


def training_figures(record: TrainingRecord, classes: ClassTable) -> list[Figure]:
    """All charts of a training for which its record has numbers.

    Args:
        record: of at least one period.
        classes: its classes, in label order, with groups.

    Raises:
        ValueError: if it has none, or if its classes are others.
    """
    if tuple(record.class_names.tolist()) != classes.names:
        raise ValueError(f'training_figures(record=) expects a record of the {classes.num_classes} '
                         f'classes of the data, got one of {len(record.class_names)} others. '
                         'Remove imbalance.npz, or train again.')
    if not len(record.last_iteration):
        raise ValueError('training_figures(record=) expects at least one period, got none. Train '
                         'an epoch with the ImbalanceHook.')
    figures = [sample_share_figure(record, classes)]
    figures += [class_positives_figure(record, classes, stage)
                for stage in range(len(record.stages))]
    figures += [hallucination_figure(record, classes, stage) for stage in range(len(record.stages))
                if record.hallucinated[:, stage].any()]
    figures.append(iou_figure(record))
    if record.regression_loss.any():
        figures.append(regression_share_figure(record))
    if len(record.level_strides):
        figures.append(roi_level_figure(record))
    if len(record.terms):
        figures.append(loss_share_figure(record))
    if np.isfinite(record.gradient_norm).any():
        figures.append(gradient_share_figure(record))
    return figures


def sample_share_figure(record: TrainingRecord, classes: ClassTable) -> Figure:
    """Share of each frequency group in the data and in what the classifier learnt from."""
    groups, keys = GroupStyles(classes.groups), classes.group_keys()
    kinds = [('annotated objects', record.instance_count)]
    positives, hallucinated = record.positives.sum(0), record.hallucinated.sum(0)  # (S, C)
    for stage, name in enumerate(record.stages.tolist()):
        kinds.append((_of_stage('positive RoIs', name), positives[stage]))
        if hallucinated[stage].any():
            kinds.append((_of_stage('positive RoIs and hallucinated samples', name),
                          positives[stage] + hallucinated[stage]))
    frame = pd.DataFrame([
        dict(group=group, kind=kind, samples=int(counts[keys == group].sum()),
             share_percent=100 * share[keys == group].sum())
        for kind, counts in kinds for share in [shares(counts)] for group in groups.present(keys)])
    chart = new_chart('frequency group', 'share of all groups (%)', barmode='group')
    for (kind, part), colour in zip(frame.groupby('kind', sort=False),
                                    (NEUTRAL, *SERIES_COLOURS, *SERIES_COLOURS), strict=False):
        chart.add_bar(x=[groups.label(group) for group in part['group']], y=part['share_percent'],
                      name=kind, marker_color=colour, customdata=part['samples'],
                      hovertemplate='%{y:.1f} %, %{customdata:,}<extra>' + kind + '</extra>')
    num_positives, num_negatives = positives.sum(), record.negatives.sum()
    return Figure(
        'sample_shares', 'What the classifier learnt from',
        f'Background is not shown: {_per(num_negatives, num_positives)} background RoIs per '
        f'positive one. A batch of {record.num_images.sum() / record.num_batches.sum():.0f} images '
        f'had positives of {_mean(record.classes_per_batch):.1f} of {len(record.class_names)} '
        'classes on average.', frame, chart)


def class_positives_figure(record: TrainingRecord, classes: ClassTable, stage: int = 0) -> Figure:
    """Positives of each class against its frequency."""
    groups, keys = GroupStyles(classes.groups), classes.group_keys()
    positives = record.positives[:, stage].sum(0)
    rois = positives.sum() + record.negatives[:, stage].sum()
    name = record.stages[stage].item()
    frame = pd.DataFrame(dict(
        class_name=record.class_names, group=keys,
        train_instances=record.instance_count, positive_rois=positives, other_rois=rois - positives,
        batches_with_class=record.batches_with_class[:, stage].sum(0)))
    chart = new_chart('training instances of the class (log scale)',
                      'positive RoIs (log scale)')
    chart.update_xaxes(type='log', dtick=1)
    chart.update_yaxes(type='log', dtick=1)
    for group in groups.present(keys):
        part = frame[(frame['group'] == group) & (frame['train_instances'] > 0)
                     & (frame['positive_rois'] > 0)]
        if len(part):
            chart.add_scatter(
                x=part['train_instances'], y=part['positive_rois'], mode='markers',
                name=groups.label(group), marker=dict(groups.style(group), size=6),
                text=part['class_name'],
                hovertemplate='%{text}<br>%{x:,} instances, %{y:,} RoIs<extra></extra>')
    num_missed = int((positives == 0).sum())
    return Figure(
        'class_positives' + (f'_{name}' if name else ''),
        _of_stage('Positive RoIs of each class', name),
        f'Sampled RoIs with the label of the class, over {_time(record)}; for a sigmoid classifier '
        'all other RoIs are its negatives. '
        f'{num_missed} of {len(frame)} classes had no positive RoI; counts of 0 are left out.',
        frame, chart)


def hallucination_figure(record: TrainingRecord, classes: ClassTable, stage: int = 0) -> Figure:
    """Hallucinated samples of each class against its frequency."""
    name = record.stages[stage].item()
    groups, keys = GroupStyles(classes.groups), classes.group_keys()
    counts = record.hallucinated[:, stage]  # (E, C)
    share = 100 * shares(counts)
    frame = pd.DataFrame(dict(
        period=np.repeat([_time(record, period) for period in range(len(counts))], counts.shape[1]),
        class_name=np.tile(record.class_names, len(counts)),
        group=np.tile(keys, len(counts)),
        train_instances=np.tile(record.instance_count, len(counts)),
        hallucinated_samples=counts.ravel(), share_percent=share.ravel()))
    chart = new_chart('training instances of the class (log scale)',
                      'share of the hallucinated samples (%)', yaxis_rangemode='tozero')
    chart.update_xaxes(type='log', dtick=1)
    drawn = list(dict.fromkeys((0, len(counts) - 1)))
    for period in drawn:
        time = _time(record, period)
        for group in groups.present(keys):
            chosen = (keys == group) & (record.instance_count > 0)
            if not chosen.any():
                continue
            marker = dict(groups.style(group), size=6)
            if period != drawn[-1]:
                marker.update(symbol=marker['symbol'] + '-open', opacity=0.5)
            chart.add_scatter(
                x=record.instance_count[chosen], y=share[period, chosen], mode='markers',
                name=groups.label(group) + (f', {time}' if len(drawn) > 1 else ''), marker=marker,
                text=record.class_names[chosen], customdata=counts[period, chosen],
                hovertemplate='%{text}<br>%{x:,} instances, hallucinated %{customdata:,} times '
                              f'(%{{y:.2f}} %)<br>{time}<extra></extra>')
    chart.add_hline(y=100 / counts.shape[1], line=dict(color=NEUTRAL, dash='dot'))
    total = counts.sum(0)
    return Figure(
        'hallucinated_samples' + (f'_{name}' if name else ''),
        _of_stage('How often each class was hallucinated', name),
        f'{total.sum():,} samples over {_time(record)}'
        + (', in the first period (open) and the last' if len(drawn) > 1 else '')
        + f'; {int((total == 0).sum())} of {len(total)} classes had none. All classes alike would '
        'be on the dotted line. The CSV has every period.', frame, chart)


def iou_figure(record: TrainingRecord) -> Figure:
    """IoU of positives with their ground truth, in the first and the last period."""
    periods = dict.fromkeys((0, len(record.last_iteration) - 1))
    middle = _bin_middles(record)
    parts, chart = [], new_chart('IoU of the RoI with its ground truth',
                                 'positive RoIs (%)', yaxis_rangemode='tozero')
    for stage, name in enumerate(record.stages.tolist()):
        for period in reversed(periods):
            count = record.iou_count[period, stage]
            time = _time(record, period)
            parts.append(pd.DataFrame(dict(
                stage=name, period=time, iou_from=record.iou_edges[:-1],
                iou_to=record.iou_edges[1:], positives=count, share_percent=100 * shares(count))))
            chart.add_scatter(
                x=middle, y=parts[-1]['share_percent'], mode='lines', customdata=count,
                name=_of_stage(time, name), hovertemplate='IoU %{x:.2f}: %{y:.1f} %, '
                '%{customdata:,} RoIs',
                line=dict(color=SERIES_COLOURS[stage % len(SERIES_COLOURS)], shape='hvh', width=2,
                          dash='solid' if period else 'dot'))
    if len(periods) == 1:
        chart.update_traces(line_dash='solid')
    frame = pd.concat(parts, ignore_index=True)
    _start_at_first_positive(chart, record)
    total = record.iou_count.sum() + record.added_count.sum()
    return Figure(
        'positive_iou', 'How well positive RoIs fit their objects',
        'Without the ground-truth boxes that the sampler adds to the proposals: '
        f'{record.added_count.sum() / max(total, 1):.1%} of the positives, of IoU 1.', frame, chart)


def regression_share_figure(record: TrainingRecord) -> Figure:
    """Share of the regression loss by IoU of the positives."""
    middle = _bin_middles(record)
    parts, chart = [], new_chart('IoU of the RoI with its ground truth', 'share (%)',
                                 yaxis_rangemode='tozero')
    for stage, name in enumerate(record.stages.tolist()):
        part = pd.DataFrame(dict(stage=name, iou_from=record.iou_edges[:-1],
                                 iou_to=record.iou_edges[1:]))
        # Of all positives, so that the added ones are what is missing to 100 %.
        for column, inside, added in (
                ('loss', record.regression_loss, record.added_regression_loss),
                ('positives', record.iou_count, record.added_count)):
            values = inside[:, stage].sum(0)
            total = values.sum() + added[:, stage].sum()
            part[f'{column}_percent'] = 100 * values / total if total else np.nan
            chart.add_scatter(
                x=middle, y=part[f'{column}_percent'], mode='lines',
                name=_of_stage('regression loss' if column == 'loss' else 'positive RoIs', name),
                hovertemplate='IoU %{x:.2f}: %{y:.1f} %',
                line=dict(color=SERIES_COLOURS[stage % len(SERIES_COLOURS)], shape='hvh', width=2,
                          dash='solid' if column == 'loss' else 'dot'))
        parts.append(part)
    frame = pd.concat(parts, ignore_index=True)
    _start_at_first_positive(chart, record)
    added = record.added_regression_loss.sum()
    return Figure(
        'regression_share', 'Where the regression loss comes from',
        'Where the solid line is above the dotted one, RoIs have more than their share of the box '
        'regression loss. Ground-truth boxes that the sampler adds are '
        f'{_share(record.added_count, record.iou_count):.1%} of the positives and have '
        f'{added / (added + record.regression_loss.sum()):.1%} of the loss; they are not shown.',
        frame, chart)


def roi_level_figure(record: TrainingRecord) -> Figure:
    """Share of the RoIs on each level of the feature pyramid."""
    levels = level_names(record.level_strides)
    parts, chart = [], new_chart('level of the feature pyramid', 'RoIs (%)', barmode='group')
    for stage, name in enumerate(record.stages.tolist()):
        for kind, values, colour in (('positives', record.level_positives, SERIES_COLOURS[0]),
                                     ('negatives', record.level_negatives, NEUTRAL)):
            counts = values[:, stage].sum(0)
            parts.append(pd.DataFrame(dict(stage=name, level=levels, kind=kind, rois=counts,
                                           share_percent=100 * shares(counts))))
            chart.add_bar(x=levels, y=parts[-1]['share_percent'], customdata=counts,
                          name=_of_stage(kind, name), marker_color=colour,
                          marker_pattern_shape=('', '/', '.')[stage % 3],
                          hovertemplate='%{y:.1f} %, %{customdata:,} RoIs')
    return Figure(
        'roi_levels', 'Levels that RoIs are taken from',
        f'Sampled RoIs of the training, over {_time(record)}, by the rule of the RoI extractor.',
        pd.concat(parts, ignore_index=True), chart)


def loss_share_figure(record: TrainingRecord) -> Figure:
    """Share of each term in the loss, over time."""
    return _share_over_time(
        record, np.nan_to_num(record.loss), 'loss_share',
        'What the loss consists of', 'share of the loss (%)', 'loss',
        'Each point is the mean of some iterations and of the ranks.')


def gradient_share_figure(record: TrainingRecord) -> Figure:
    """Share of each term in the gradients, over time."""
    taken_of = ('the feature maps that RPN and RoI heads share'
                if record.gradient_of == 'features' else
                'the parameters that learn (the feature maps are frozen)')
    return _share_over_time(
        record, np.nan_to_num(record.gradient_norm), 'gradient_share',
        'Which term of the loss pulls hardest', 'share of the gradient norms (%)', 'gradient_norm',
        f'Norms of the gradients of {taken_of}, of single iterations. A term of a small value can '
        'have a large gradient.')


def _share_over_time(record: TrainingRecord, values: np.ndarray, name: str, title: str,
                     y_title: str, column: str, caption: str) -> Figure:
    """Stacked areas of the shares of (P, T) values, of which those not seen are 0."""
    share = shares(values)
    # Windows without a value, such as those of batches that were left out, are no points.
    is_seen = np.isfinite(share).all(1)
    window = -(-is_seen.sum() // MAX_POINTS) or 1
    iteration, share, values = (_window_means(array[is_seen], window)
                                for array in (record.iteration, share, values))
    chart = new_chart('iteration', y_title, yaxis_range=[0, 100], hovermode='x unified')
    for number, term in enumerate(record.terms.tolist()):
        colour = SERIES_COLOURS[number % len(SERIES_COLOURS)]
        chart.add_scatter(
            x=iteration, y=100 * share[:, number], name=term, stackgroup='terms',
            mode='lines' if len(iteration) > 1 else 'markers',
            line=dict(color=colour, width=1), hovertemplate='%{y:.1f} %',
            fillpattern_shape=('', '/', '.')[number // len(SERIES_COLOURS) % 3])
    frame = pd.DataFrame(dict(
        iteration=np.repeat(iteration, len(record.terms)),
        term=np.tile(record.terms, len(iteration)), share_percent=100 * share.ravel(),
        **{column: values.ravel()}))
    if window > 1:
        caption += f' Drawn are means of {window} points.'
    return Figure(name, title, caption, frame, chart)


def _window_means(values: np.ndarray, window: int) -> np.ndarray:
    """Means of that many consecutive entries of the first axis; the last may have fewer."""
    return np.stack([values[start:start + window].mean(0)
                     for start in range(0, len(values), window)]) if len(values) else values


def _bin_middles(record: TrainingRecord) -> np.ndarray:
    return (record.iou_edges[:-1] + record.iou_edges[1:]) / 2


def _start_at_first_positive(chart: go.Figure, record: TrainingRecord) -> None:
    """Begin lines over the bins where there are positives: below the assigner's threshold none."""
    first = int((record.iou_count.sum((0, 1)) > 0).argmax())
    for trace in chart.data:
        trace.update(x=trace.x[first:], y=trace.y[first:])
        if trace.customdata is not None:
            trace.update(customdata=trace.customdata[first:])
    chart.update_xaxes(range=[record.iou_edges[first], 1])


def _of_stage(text: str, stage: str) -> str:
    """A name with that of a stage of a cascade, if there is one."""
    return f'{text}, {stage}' if stage else text


def _time(record: TrainingRecord, period: int | None = None) -> str:
    """The iterations of a period, or of the record."""
    first, last = (0, -1) if period is None else (period, period)
    return (f'iterations {record.first_iteration[first].item():,} to '
            f'{record.last_iteration[last].item():,}')


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return known.mean() if len(known) else float('nan')


def _per(number: int, other: int) -> str:
    return f'{number / other:.1f}' if other else 'no number of'


def _share(part: np.ndarray, rest: np.ndarray) -> float:
    return part.sum() / max(part.sum() + rest.sum(), 1)
