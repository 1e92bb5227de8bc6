"""Data sources and layouts: what comes in, how it is named, split and listed."""
