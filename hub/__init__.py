"""The program: command line, settings, supervision, embedded runtime."""
