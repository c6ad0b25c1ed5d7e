"""The one error of the package."""


class Error(Exception):
    """One sentence: what was found, what was expected, how to mend it."""
