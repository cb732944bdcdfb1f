"""Studies: base recipe x arms x seeds, asked the same test questions, as a table, figures and a page.

``schema`` is what a study's YAML file holds, ``runs`` makes recipes of its arms and seeds, ``asking`` puts the
questions to their models, ``differences`` pairs the answers by question and seed, ``results`` has the scores,
``figures`` and ``page`` show them, and ``run`` does what is missing. The studies of the package are in ``recipes/``.
"""
