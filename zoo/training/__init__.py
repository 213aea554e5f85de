"""Training: the recipes, the step loop and what it is made of."""
