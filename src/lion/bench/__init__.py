"""How fast a LION runs here, as a share of what the machine can do, and beside a peer.

:mod:`~lion.bench.stages` measures the pipeline's steps and whole answers, :mod:`~lion.bench.limits` the machine itself
with the :mod:`~lion.bench.work` that the model's shape asks for, and :mod:`~lion.bench.peers` two programs in turn.
Everything is measured by :mod:`~lion.bench.timing`, and goes through the pipeline and its decoder: what answers users
is what is measured.
"""
