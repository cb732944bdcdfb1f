"""Tests of the command line, run in this process through ``lion.cli.main`` or as a program."""
