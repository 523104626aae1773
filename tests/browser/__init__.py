"""What needs a real browser: JavaScript unit tests and end-to-end tests."""
