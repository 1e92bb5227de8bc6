"""MoFaNeRF (Zhuang et al., ECCV 2022): one radiance field for many faces, driven by three codes.

``config`` holds every hyper-parameter with its published default, ``codes`` makes shape codes and
textures, ``face_model`` predicts surfaces from them, ``splits`` says which views and pairs are held
out. ``model`` and ``layers`` hold the networks as published (profile ``faithful``), ``canonical``
those of the profile ``fast``; ``rays`` places samples, ``compositing`` turns them into pixels,
``surface`` tells where the surface is expected, ``render`` makes images. ``data`` makes batches of
rays (``predicted`` faces that nobody was shown), ``losses`` has the terms, ``train`` is the recipe
(``preview`` its pictures). ``faces`` has weights and codes together; ``evaluate``, ``baselines``,
``table``, ``ablation`` and ``figures`` measure and show. ``refine`` sharpens pictures, with
``refine_config``, ``pairs``, ``refine_train`` and ``refine_evaluate``. ``fit`` finds pose and codes
of one image, with ``fit_config``, ``fit_target`` (the image), ``fit_unknowns``, ``fit_steps``,
``fit_losses``, ``prior`` and ``landmark_model``; ``fit_people``, ``fit_files`` and ``fit_figures``
do so for unseen people. ``interpolate``, ``rigging``, ``export`` (a mesh) and ``app_figures`` are
what codes are good for. ``photo`` makes a wild photo a picture of the canonical frame:
``photo_files``, ``photo_mask``, ``head_pose`` and ``lighting`` are its steps, ``detector`` runs a
landmark network of the user's own, ``fit_photo`` does it all, ``demo_photo`` makes one up.
``align`` brings raw scans into the face frame.
What the paper does, what we do and where the two differ: docs/mofanerf.md.
"""
