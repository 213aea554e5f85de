"""Every network of the zoo; importing this package fills the registry."""

from zoo.models import ltfn

__all__ = ["ltfn"]
