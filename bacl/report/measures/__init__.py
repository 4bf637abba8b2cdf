"""How imbalanced a dataset or a training is, in numbers: arrays in, arrays out."""
