"""What each command does, one file each, so that a process loads only what it needs."""
