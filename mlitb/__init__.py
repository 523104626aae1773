"""MLitB: people train one neural network together from their browsers."""

__version__ = "0.1.0"
