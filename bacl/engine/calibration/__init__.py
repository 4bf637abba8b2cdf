"""Choosing the strength of a calibrator on held-out training images."""
