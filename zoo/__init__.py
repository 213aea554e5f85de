"""A Keras model zoo around the convolutional network of "Learn TensorFlow Now".

>>> import zoo
>>> zoo.list_models()[:3]
['all-cnn-a', 'all-cnn-b', 'all-cnn-c']
>>> model = zoo.create_model("ltfn5")  # raw pixels in, logits out
"""

from zoo.models.registry import create_model, list_models, register_model
from zoo.runs import load_model

__all__ = ["create_model", "list_models", "load_model", "register_model"]
