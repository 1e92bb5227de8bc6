"""How far a reconstruction is from the truth."""
