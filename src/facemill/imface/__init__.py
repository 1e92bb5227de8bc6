"""ImFace (Zheng et al., CVPR 2022): a face as a template signed distance field that codes deform.

``config`` holds every hyper-parameter with its published default, ``model`` the networks,
``losses`` the terms of the loss, ``data`` the batches, ``train`` the recipe, ``fit`` codes for
unseen scans, ``reconstruct`` the way from codes to a mesh, ``evaluate`` the scores. What the paper
does, what we do and where the two differ: docs/imface.md.
"""
