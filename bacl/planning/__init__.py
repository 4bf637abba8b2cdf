"""From annotations and images of one's own to configs, with the reason of every setting.

Not loaded by ``import bacl``. Files are read, put right where tools for labelling depart from COCO,
and audited (``annotation_files.py``, ``repairs.py``, ``image_files.py``, ``sides.py``,
``pairs.py``); what they hold becomes numbers (``facts.py``), these become settings with reasons
(``decisions.py``, ``geometry.py``; what the comparison of methods found: ``compared.py``), and
settings become texts of configs (``config_texts.py``, ``readme.py``).
``plan.py`` is the whole of it; ``chain.py`` runs a plan.
"""
