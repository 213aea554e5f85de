"""Write the model card of a bundle, and publish the bundle."""
