"""The command `valise`: one module a noun, each command a verb."""
