"""What a city is made of: one file per kind of device, the registry and its topology. Pure."""
