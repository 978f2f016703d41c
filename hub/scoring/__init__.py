"""How well the rules detect: scenarios are played through the hub's own code and compared with the truth."""
