"""The one error of the tools."""

from __future__ import annotations

from typing import Any


class ToolError(Exception):
    """Something failed; the text says what and why, in words for the learner. `details` are further fields of the JSON answer."""

    def __init__(self, text: str, **details: Any) -> None:
        super().__init__(text)
        self.details = details
