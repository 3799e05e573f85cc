"""One `Model` interface, three backends."""
