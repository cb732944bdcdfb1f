"""``lion world``: placeholder until the writers land."""


def world() -> None:
    """Draw scenes of the mini world."""
