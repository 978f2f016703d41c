"""The programs' way in: /api/v1, for delegated providers with a key."""
