"""The formats that agencies already use, in and out; each module knows one."""
