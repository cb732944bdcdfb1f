"""Answers about millions of pictures: what ``lion annotate`` does, on one machine or on Ray Data.

The path of a picture: :mod:`inputs <lion.annotate.inputs>` finds pictures and archives and cuts them into shards,
:mod:`records <lion.annotate.records>` reads a shard's files as bytes, :mod:`reader <lion.annotate.reader>` decodes them
in the background, :mod:`annotator <lion.annotate.annotator>` asks the pipeline, and :mod:`output
<lion.annotate.output>` writes the shard, whole or not at all. :mod:`run <lion.annotate.run>` and :mod:`on_ray
<lion.annotate.on_ray>` put these together.
"""
