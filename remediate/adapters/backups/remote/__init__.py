"""What runs on targets; it is sent as it is, and imports nothing of ours."""
