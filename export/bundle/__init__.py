"""Write the model card of a bundle, publish the bundle, and verify it."""
