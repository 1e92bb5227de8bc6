"""ImFace (CVPR 2022): a face as a template signed distance field, warped by identity and expression."""
