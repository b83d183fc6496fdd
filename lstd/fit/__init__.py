"""What `model.fit` does with a detector: the training step, replicas, checks."""
