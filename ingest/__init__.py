"""From the broker to columns: intake, the log, codecs, decoding and the worker's straight line."""
