"""Features of sparse autoencoders: what they are about, what they do, and what is lost without them."""
