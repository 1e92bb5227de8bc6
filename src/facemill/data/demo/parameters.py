"""The identity parameters: which part of the head each one moves or stretches, and how much.

Centres and radii are places on the mean head (mm, left side; the right side mirrors it). A warp is
either a stretch about its centre (``amount`` is the log of the factor) or a shift (mm).
"""

from dataclasses import dataclass

Triple = tuple[float | int, float | int, float | int]


@dataclass(frozen=True)
class Warp:
    """One identity parameter.

    ``spread`` is the standard deviation; ``male`` and ``heavy`` are correlations with the two
    hidden factors that all parameters share. ``odd`` warps move both sides the same way (in x) or
    opposite ways (in y) and so break the symmetry.
    """

    name: str
    kind: str  # "stretch", "shift" or "odd"
    centre: Triple
    radii: Triple | None
    direction: Triple
    spread: float
    male: float | int = 0.0
    heavy: float | int = 0.0


FAR = 1e4
WARPS = (
    Warp("size", "stretch", (0, -20, 20), None, (1, 1, 1), 0.024, 0.5, 0.2),
    Warp("length", "stretch", (0, -20, 20), None, (0, 1, 0), 0.022, 0.2, -0.3),
    Warp("width", "stretch", (0, -20, 20), None, (1, 0, 0), 0.026, 0.2, 0.4),
    Warp("depth", "stretch", (0, -20, 20), None, (0, 0, 1), 0.022),
    Warp("lower_face", "shift", (0, -125, 70), (70, 48, 75), (0, -1, 0), 3.4, 0.5),
    Warp("middle_face", "shift", (0, -95, 80), (90, 70, 90), (0, -1, 0), 1.8, 0.2),
    Warp("forehead_height", "shift", (0, 85, 50), (110, 45, 90), (0, 1, 0), 3.5),
    Warp("forehead_slope", "shift", (0, 75, 75), (60, 32, 50), (0, 0, -1), 3.0, 0.4),
    Warp("forehead_bulge", "shift", (0, 52, 98), (38, 20, 40), (0, 0, 1), 1.6, -0.3),
    Warp("temples", "shift", (62, 32, 50), (22, 26, 34), (1, 0, 0), 2.0, 0, 0.2),
    Warp("brow_ridge", "shift", (26, 23, 95), (26, 9, 28), (0, 0, 1), 1.5, 0.7),
    Warp("glabella", "shift", (0, 19, 101), (14, 12, 22), (0, 0, 1), 1.2, 0.5),
    Warp("brow_height", "shift", (28, 24, 93), (26, 11, 26), (0, 1, 0), 1.4, -0.5),
    Warp("eye_distance", "shift", (31.6, 0, 80), (17, 16, 24), (1, 0, 0), 1.3),
    Warp("eye_height", "shift", (31.6, 0, 80), (20, 15, 24), (0, 1, 0), 0.9),
    Warp("eye_depth", "shift", (31.6, 0, 80), (20, 17, 24), (0, 0, 1), 1.3, -0.4),
    Warp("eye_size", "stretch", (31.6, 0, 75), (20, 17, 24), (1, 1, 1), 0.035, -0.3),
    Warp("eye_tilt_outer", "shift", (47, 1, 76), (11, 10, 18), (0, 1, 0), 1.3, -0.2),
    Warp("eye_tilt_inner", "shift", (17, -1, 81), (8, 8, 14), (0, 1, 0), 0.5),
    Warp("cheekbone_width", "shift", (62, -18, 48), (20, 20, 34), (1, 0, 0), 2.4, 0, 0.1),
    Warp("cheekbone_front", "shift", (44, -20, 79), (17, 13, 24), (0.4, 0, 0.9), 1.7),
    Warp("cheek_fullness", "shift", (47, -52, 66), (20, 24, 36), (0.75, 0, 0.65), 3.0, 0, 0.8),
    Warp("nasolabial", "shift", (26, -52, 93), (8, 15, 20), (0, 0, 1), 0.9, 0, 0.4),
    Warp("nose_length", "shift", (0, -42, 108), (22, 18, 30), (0, -1, 0), 1.8, 0.3),
    Warp("nose_projection", "shift", (0, -38, 116), (15, 16, 24), (0, 0, 1), 1.9, 0.3),
    Warp("nose_width", "stretch", (0, -38, 100), (24, 12, 30), (1, 0, 0), 0.10, 0.2),
    Warp("bridge_width", "stretch", (0, -8, 96), (17, 17, 26), (1, 0, 0), 0.10),
    Warp("bridge_height", "shift", (0, -5, 98), (11, 16, 20), (0, 0, 1), 1.5, 0.2),
    Warp("nose_hook", "shift", (0, -19, 106), (9, 9, 18), (0, 0, 1), 1.3, 0.3),
    Warp("nasion", "shift", (0, 5, 96), (12, 9, 18), (0, 0, 1), 1.0, -0.2),
    Warp("tip_turn", "shift", (0, -38, 119), (15, 13, 17), (0, 1, 0.1), 1.3, -0.3),
    Warp("tip_width", "stretch", (0, -37, 114), (12, 8, 12), (1, 0.3, 0), 0.10),
    Warp("wing_height", "shift", (15, -39, 103), (9, 12, 15), (0, 1, 0), 0.7),
    Warp("columella", "shift", (0, -44, 110), (9, 8, 12), (0, -1, 0), 0.4),
    Warp("mouth_width", "stretch", (0, -68, 96), (36, 15, 36), (1, 0, 0), 0.06, 0.2),
    Warp("mouth_height", "shift", (0, -67, 100), (34, 14, 30), (0, 1, 0), 1.3),
    Warp("lips_forward", "shift", (0, -67, 106), (26, 14, 26), (0, 0, 1), 1.5),
    Warp("upper_lip_height", "shift", (0, -60.5, 108), (17, 4.5, 16), (0, 1, 0.25), 0.9, -0.4),
    Warp("upper_lip_fullness", "shift", (0, -63, 109), (19, 4.5, 14), (0, 0, 1), 0.9, -0.3),
    Warp("lower_lip_height", "shift", (0, -75.5, 107), (17, 5, 16), (0, -1, 0.25), 1.1, -0.3),
    Warp("lower_lip_fullness", "shift", (0, -72, 109), (19, 5, 14), (0, 0, 1), 1.0, -0.3),
    Warp("cupids_bow", "shift", (5.5, -59, 108), (4.5, 4, 9), (0, 1, 0), 0.5),
    Warp("philtrum", "shift", (0, -54, 107), (4.5, 6, 10), (0, 0, -1), 0.5),
    Warp("mouth_corners", "shift", (26, -69, 93), (9, 7, 12), (0, 1, 0), 0.9),
    Warp("chin_forward", "shift", (0, -100, 103), (28, 18, 32), (0, 0, 1), 2.4, 0.2),
    Warp("chin_width", "stretch", (0, -103, 90), (42, 18, 40), (1, 0, 0), 0.09, 0.5),
    Warp("chin_height", "shift", (0, -108, 98), (26, 15, 30), (0, -1, 0), 1.8, 0.3),
    Warp("chin_cleft", "shift", (0, -99, 106), (3.5, 7, 10), (0, 0, -1), 0.5, 0.4),
    Warp("chin_fold", "shift", (0, -85, 101), (18, 6, 16), (0, 0, -1), 1.0, 0.2),
    Warp("jaw_width", "stretch", (0, -85, 20), (90, 30, 60), (1, 0, 0), 0.045, 0.6, 0.5),
    Warp("jaw_angle", "shift", (58, -80, 14), (20, 20, 26), (1, -0.5, 0), 3.0, 0.6),
    Warp("under_chin", "shift", (0, -119, 62), (36, 16, 34), (0, -1, 0.2), 2.6, 0, 0.8),
    Warp("ear_size", "stretch", (74, -14, -9), (16, 34, 26), (0.6, 1, 1), 0.06, 0.4),
    Warp("ear_stand", "shift", (90, -10, -28), (14, 34, 20), (1, 0, 0.3), 3.0),
    Warp("ear_height", "shift", (78, -14, -12), (18, 44, 30), (0, 1, 0), 2.2),
    Warp("ear_lobe", "shift", (78, -43, -6), (10, 9, 14), (0.2, -1, 0.2), 1.6),
    Warp("neck_width", "stretch", (0, -140, -12), (FAR, 34, FAR), (1, 0, 1), 0.06, 0.7, 0.5),
    Warp("neck_forward", "shift", (0, -165, -10), (FAR, 40, FAR), (0, 0, 1), 3.0),
    Warp("skull_back", "shift", (0, 25, -95), (75, 65, 50), (0, 0, -1), 4.0),
    Warp("skull_top", "shift", (0, 118, -5), (85, 42, 85), (0, 1, 0), 3.0),
    Warp("skull_width", "stretch", (0, 50, -20), (FAR, 50, 70), (1, 0, 0), 0.025),
    Warp("nose_bent", "odd", (0, -34, 110), (16, 18, 26), (1, 0, 0), 0.8),
    Warp("chin_aside", "odd", (0, -100, 98), (42, 30, 50), (1, 0, 0), 0.9),
    Warp("mouth_slant", "odd", (26, -68, 95), (14, 11, 22), (0, 1, 0), 0.5),
    Warp("brow_slant", "odd", (30, 24, 93), (22, 10, 26), (0, 1, 0), 0.7),
    Warp("eye_slant", "odd", (31.6, 0, 80), (17, 12, 24), (0, 1, 0), 0.4),
    Warp("cheek_uneven", "odd", (46, -45, 70), (22, 25, 36), (0.7, 0, 0.7), 0.7),
)  # fmt: skip
