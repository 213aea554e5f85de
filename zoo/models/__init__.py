"""The built-in networks; importing this package registers them."""

from zoo.models import all_cnn, compact, ltfn

__all__ = ["all_cnn", "compact", "ltfn"]
