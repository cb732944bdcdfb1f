"""The smallest recipe, as plain values, and the names of the shipped ones."""

import yaml

from lion.train.recipe import shipped
from lion.train.recipe.schema import SHIPPED

BASE = {
    "name": "base",
    "stage": "stage1",
    "data": [{"source": "world", "scenes": 10, "tasks": {"vqa": 1}}],
    "steps": 10,
    "optimizer": {"lr": 0.001},
    "out": "out",
}
CHAINS = [name for name in shipped() if "chain" in yaml.safe_load((SHIPPED / f"{name}.yaml").read_text())]
RECIPES = sorted(set(shipped()) - set(CHAINS))
