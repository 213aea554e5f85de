"""A Keras model zoo around the convolutional network of "Learn TensorFlow Now".

>>> import zoo
>>> zoo.list_models()[:3]
['all-cnn-a', 'all-cnn-b', 'all-cnn-c']
>>> model = zoo.create_model("ltfn5")  # maps raw pixels to logits
"""

from zoo.util import signals

signals.guard_imports()

from etils import epy

# Each name is imported when it is first used, so that commands start fast.
with epy.lazy_api_imports(globals()):
    from zoo.data import load as load_data
    from zoo.inference import preprocess
    from zoo.models.registry import get_spec, list_models, register_model
    from zoo.pretrained import create_model
    from zoo.runs import load_model
    from zoo.training.experiment import train_model

__version__ = "0.1.0"

__all__ = [
    "create_model",
    "get_spec",
    "list_models",
    "load_data",
    "load_model",
    "preprocess",
    "register_model",
    "train_model",
]
