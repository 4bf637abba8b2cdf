"""What is imbalanced in a dataset, and what a training did about it: numbers, charts, a report."""
