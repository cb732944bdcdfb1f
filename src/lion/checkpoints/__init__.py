"""Checkpoints: finding them (folder, Hub, bundled), reading them whole or in parts, and what is written about them."""
