"""What the face does in each of the twenty expressions: amounts of its actions.

Degrees for the jaw's opening, millimetres for shifts, shares 0 .. 1 for the rest.
"""

RECIPES: dict[str, dict[str, float]] = {
    "1_neutral": {},
    "2_smile": {
        "corner_out": 7.0, "corner_up": 6.5, "cheek_raise": 4.0, "part_upper": 2.6,
        "part_lower": 1.6, "squint": 0.16, "thin": 0.25,
    },
    "3_mouth_stretch": {
        "jaw_open": 24.0, "corner_out": -1.5, "part_upper": 1.0, "cheek_suck": 1.0,
        "brow_outer": 1.5, "brow_inner": 1.5, "close": -0.12,
    },
    "4_anger": {
        "brow_inner": -6.0, "brow_outer": -2.0, "brow_together": 3.5, "close": 0.12,
        "squint": 0.16, "nose_wrinkle": 2.5, "part_upper": 2.6, "part_lower": 2.2,
        "jaw_open": 1.5, "corner_up": -1.5, "corner_out": 1.5,
    },
    "5_jaw_left": {"jaw_side": 9.0, "jaw_open": 2.0},
    "6_jaw_right": {"jaw_side": -9.0, "jaw_open": 2.0},
    "7_jaw_forward": {"jaw_forward": 7.5, "jaw_open": 1.5},
    "8_mouth_left": {"mouth_side": 10.0, "pucker": 0.15, "corner_up_left": 1.5},
    "9_mouth_right": {"mouth_side": -10.0, "pucker": 0.15, "corner_up_right": 1.5},
    "10_dimpler": {"corner_out": 5.0, "corner_up": 0.8, "dimple": 3.2, "thin": 0.25},
    "11_chin_raiser": {
        "chin_raise": 5.5, "corner_up": -3.0, "lips_out": 2.0, "brow_inner": -1.0,
    },
    "12_lip_puckerer": {"pucker": 1.0, "cheek_suck": 2.0},
    "13_lip_funneler": {"pucker": 0.62, "funnel": 1.0, "jaw_open": 5.0, "cheek_suck": 1.5},
    "14_sadness": {
        "brow_inner": 5.5, "brow_together": 2.0, "brow_outer": -1.5, "corner_up": -5.0,
        "corner_out": 0.5, "chin_raise": 2.5, "close": 0.14,
    },
    "15_lip_roll": {"roll": 1.0, "corner_out": 1.0, "chin_raise": 1.0},
    "16_grin": {
        "corner_out": 9.0, "corner_up": 5.0, "part_upper": 4.2, "part_lower": 3.6,
        "cheek_raise": 4.0, "squint": 0.18, "thin": 0.3, "jaw_open": 1.0,
    },
    "17_cheek_blowing": {"blow": 10.0, "pucker": 0.2, "lips_out": 1.0},
    "18_eye_closed": {"close": 1.0, "brow_outer": -0.6, "brow_inner": -0.4},
    "19_brow_raiser": {"brow_inner": 7.0, "brow_outer": 7.5, "close": -0.16},
    "20_brow_lower": {
        "brow_inner": -7.0, "brow_outer": -4.0, "brow_together": 4.0, "close": 0.14,
        "squint": 0.05, "nose_wrinkle": 0.8,
    },
}  # fmt: skip
