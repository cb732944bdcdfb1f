"""How lion-mini's parts are made: tokenizers, pretraining, auxiliary losses. `stages.py` alone refers to this room."""
