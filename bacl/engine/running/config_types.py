"""The classes that the ``type`` entries of a config stand for."""
from collections.abc import Mapping
from typing import Any

from mmengine.registry import Registry


def resolve_type(config: Mapping, registry: Registry, scope: str | None = None) -> Any:
    """The class or function that the ``type`` of a config stands for, as mmengine builds it.

    A type may be a short name, one with its scope (``'mmdet.FasterRCNN'``), the path to import it
    from (``'mmdet.models.FasterRCNN'``), or the class itself, as in mmengine's new style of
    configs; a dumped config of that style has paths.

    Args:
        config: dictionary of a component; its ``_scope_`` counts more than ``scope``.
        registry: any of the component's kind, such as mmdet's ``MODELS``.
        scope: the ``default_scope`` of the config; None, as in the new style, is mmdet's.

    Returns:
        None if nothing of that name is registered or can be imported, or if there is no type.
    """
    kind = config.get('type')
    if not isinstance(kind, str):
        return kind
    with registry.switch_scope_and_registry(config.get('_scope_') or scope or 'mmdet') as scoped:
        try:
            return scoped.get(kind)
        except RuntimeError:  # mmengine's answer to what is no name at all
            return None


def is_type(config: Mapping, registry: Registry, base: type, scope: str | None = None) -> bool:
    """True if a config describes a class or one that is derived from it.

    Args:
        config: see :func:`resolve_type`, as for ``registry`` and ``scope``.
        registry: of the class.
        base: the class.
        scope: the ``default_scope`` of the config.
    """
    found = resolve_type(config, registry, scope)
    return isinstance(found, type) and issubclass(found, base)
