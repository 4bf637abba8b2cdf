"""Checks before anything is trained or evaluated: config, data, classes, weights."""
