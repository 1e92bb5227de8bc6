"""ImFace (Zheng et al., CVPR 2022): a face as a template signed distance field that codes deform.

``config`` holds every hyper-parameter with its published default, ``model`` and ``blend`` the
networks, ``losses`` the terms of the loss, ``data`` the batches, ``train`` the recipe, ``fit``
codes for unseen scans (``start``, ``pose``, ``refine`` its parts), ``fit_one`` scans of unknown
making, ``reconstruct`` the way from codes to a mesh, ``evaluate`` the scores. What codes are good
for: ``interpolate``, ``correspondence``, ``random_faces``, ``export``; ``release`` gives a model
away, ``fetch`` brings one. What the paper does, what we do and where they differ: docs/imface.md.
"""
