"""The dashboard of the features of a sparse autoencoder, as one page."""
