"""The demonstration: a real ceremony, a real broker and real gateways, as processes; some of them are killed for real."""
