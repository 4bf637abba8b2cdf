"""Probes of a model and of its training step, for the hooks and tools that measure."""
