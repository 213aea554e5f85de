"""The built-in networks, which importing this package registers, and the registry."""

from zoo.models import all_cnn, compact, ltfn

__all__ = ["all_cnn", "compact", "ltfn"]
