"""What a model goes on to say, with edits, and what is read in it on the way."""
