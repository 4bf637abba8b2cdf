"""Measures of imbalance, of a dataset or of a training: arrays in, arrays out."""
