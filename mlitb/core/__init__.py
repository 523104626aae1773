"""The pure core: events and the time in, effects out. Nothing here does I/O."""
