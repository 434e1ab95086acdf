"""The user's Cancel, at a moment of a test's choice."""

from __future__ import annotations

import comfy.model_management
import pytest


def cancelled_at_the_eighth_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """ComfyUI is asked five times before a search's first step whether the user has cancelled, and then in each step."""
    answers = iter([False] * 7 + [True] * 99)

    def interrupted() -> None:
        if next(answers):
            raise comfy.model_management.InterruptProcessingException()

    monkeypatch.setattr(comfy.model_management, "throw_exception_if_processing_interrupted", interrupted)
