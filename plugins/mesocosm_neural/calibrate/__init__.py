"""Mode `calibrate`: parameters of a game, through its equilibrium."""
