"""What would the model say after each layer? Logit lens, tuned lens, two prompts beside each other."""
