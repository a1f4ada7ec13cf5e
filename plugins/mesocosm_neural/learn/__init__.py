"""Mode `learn`: drift and noise from observed populations."""
