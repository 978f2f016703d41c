"""How well the rules detect: scenarios are played through decoding, rules and tele-alert, and compared with the truth."""
