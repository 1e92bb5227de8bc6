"""The plumbing of training: seeds, checkpoints, resuming, progress, history."""
