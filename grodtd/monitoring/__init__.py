"""What tells people how things stand: explanations, metrics, health, logs."""
