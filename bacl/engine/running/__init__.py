"""Starting a run and going on with it: launching, weights, folders, chains of steps."""
