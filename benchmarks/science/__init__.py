"""How well the loop mends: three families of data, every remedy at several numbers of labels, beside its controls and an oracle."""
