"""The look of frequency groups, in training and in reports; arrays in, pictures out."""
