"""Rolling-origin forecasts of reported counts, beside baselines."""
