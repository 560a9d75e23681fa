"""The work of each stage, one module per stage: a task in, an outcome out."""

from .integration import Integration
from .preprocessing import Preprocessing

__all__ = ["Integration", "Preprocessing"]
