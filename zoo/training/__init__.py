"""Training: the recipes, the training loop and its parts."""
