"""The demonstration: a real ceremony, a real broker and three real gateways, as processes that are killed for real."""
