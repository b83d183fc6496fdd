"""The original's pipeline files as configs of lstd."""
