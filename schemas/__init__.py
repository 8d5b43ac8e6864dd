"""What travels and what it means: pure, without I/O, cryptography or framework."""
