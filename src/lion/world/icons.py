"""The icons: lists of layers (polygon, tone), painted in order, in a square of about 100 units with y down.

A tone is "base", "light" or "dark" (of the object's colour) or one of the fixed tones of `draw`. Layers of the
silhouette carry the outline; details do not and lie inside it. Each icon is scaled so that its outline fills the box.
"""

from lion.world.icons_artefacts import ARTEFACTS
from lion.world.icons_nature import NATURE

ICONS = NATURE | ARTEFACTS
"""Category to the function that gives its layers."""
