"""The numpy hot path: columns in, transitions out. No clock, no I/O, no logging inside."""
