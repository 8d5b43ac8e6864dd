"""The gateway: an agency's own service, which keeps, seals, sends, receives and opens notices. Logic without a framework."""
