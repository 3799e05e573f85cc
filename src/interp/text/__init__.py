"""Text to train and measure on: files, the demo corpus, datasets of the hub."""
