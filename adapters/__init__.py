"""Everything on the agency side; it speaks to the broker over HTTP only."""
