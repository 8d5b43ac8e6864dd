"""Who may do what, as one pure function: `decide(facts, rules)` gives a verdict with its reasons (design: access).

Three layers are read in this order, and deny wins: the network's rules (`network`), the law of the States concerned
(`profile`), the originator's handling codes (`originator`). The same code on the same versions runs in the broker, in
both gateways and at the auditor. Nothing here does I/O, reads a clock, or looks into a sealed notice.
"""
