"""Methods are found by themselves."""

from __future__ import annotations

from appl_search.searching.methods import all_methods
from appl_search.settings import METHODS


def test_the_settings_name_the_methods_that_there_are():
    assert set(METHODS) == set(all_methods())
