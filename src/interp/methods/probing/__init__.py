"""What can be read off activations by a linear map, and whether the direction that it reads along is used."""
