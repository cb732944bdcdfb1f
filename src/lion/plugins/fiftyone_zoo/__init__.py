"""LION in the FiftyOne Model Zoo: this folder is a source of models, which FiftyOne finds by its ``manifest.json``.

``register()`` puts it where FiftyOne looks; a Git repository that holds it can also be given to
``foz.register_zoo_model_source``.
"""

from lion.plugins.fiftyone_zoo.zoo import download_model as download_model
from lion.plugins.fiftyone_zoo.zoo import load_model as load_model
from lion.plugins.fiftyone_zoo.zoo import register as register
