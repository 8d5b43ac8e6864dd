"""A typed client of the broker: what goes over the wire, which answers there are, and what can be relied on in them."""
