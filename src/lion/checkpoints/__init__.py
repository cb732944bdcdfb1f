"""Checkpoints on disk. Import from the file itself: to find a folder loads no torch.

* `finding`: a model's name to its folder (path, Hub id, the bundled lion-mini), and the kind of model it holds;
* `device`: where a model is computed and in which dtype;
* `loading`: model, processor and tagger; `parts`: one component in a folder of its own;
* `adapters`: what a fine-tuning trained, in one file to be put on its model;
* `tensors`: safetensors files by tensor; `info`: sizes from headers alone;
* `record`: what `lion train` wrote beside a model about its run.
"""
