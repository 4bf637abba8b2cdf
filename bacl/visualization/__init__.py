"""How frequency groups are drawn, in training and in reports; arrays in, pictures out."""
