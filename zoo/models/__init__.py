"""Every network of the zoo; importing this package fills the registry."""

from zoo.models import all_cnn, compact, ltfn

__all__ = ["all_cnn", "compact", "ltfn"]
