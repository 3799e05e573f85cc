"""What a model has, what it lacks and what it makes up: what differs inside."""
