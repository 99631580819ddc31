"""Time to recovery: forecasts, their intervals, and the words for them."""
