"""Neural networks: the supervised classifier, the filter that is put in front of it, the autoencoder of the paper."""
