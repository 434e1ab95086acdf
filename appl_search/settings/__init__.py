"""What a user may choose about a search and its preview pictures."""

from .previews import PreviewSettings
from .search import LR_SCHEDULES, METHODS, SearchSettings

__all__ = ["LR_SCHEDULES", "METHODS", "PreviewSettings", "SearchSettings"]
