"""How lion-mini's parts are made: tokenizers, pretraining, auxiliary losses. `lion.train.run` alone imports them."""
