"""Network building blocks that two or more systems use."""
