"""The operator's page: log-in, live map, incidents, devices, and the stream that keeps them current."""
