"""What is lost without components, heads among them."""
