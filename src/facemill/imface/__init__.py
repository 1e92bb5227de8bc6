"""ImFace (CVPR 2022): a template signed distance field warped by identity and expression."""
