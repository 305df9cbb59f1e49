"""Training of the semantic codec: data, autoencoder, enhancement networks, contexts, export."""
