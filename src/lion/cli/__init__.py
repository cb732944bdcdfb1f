"""The command ``lion``: one file per verb. Nothing heavy is imported before a verb runs, so help is instant."""

from lion.cli.app import app, main

__all__ = ["app", "main"]
