"""How lion-mini's parts come to be: its tokenizers, pretraining objectives and auxiliary losses."""
