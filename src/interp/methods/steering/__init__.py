"""What a model says with a direction added to its activations."""
