"""The one exception of this package."""


class ExportFailed(RuntimeError):
    """A model cannot be given in this form; the message is one sentence."""
