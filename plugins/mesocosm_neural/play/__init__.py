"""Mode `play`: policies trained against the flow that they make."""
