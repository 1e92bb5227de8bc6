"""Shaded pictures: framing, light, transparency."""

import numpy as np

from facemill.figures.colours import from_srgb, to_srgb
from facemill.figures.shading import (
    FACE_BOX,
    ambient_openness,
    portrait_camera,
    shade,
)
from facemill.mesh.surface import Mesh
from facemill.render.raycast import RayScene, vertex_normals


def test_srgb_there_and_back():
    every = np.arange(256)
    np.testing.assert_array_equal(to_srgb(from_srgb(every)), every)


def test_a_portrait_shows_all_of_the_mesh(egg):
    for yaw in (-80, 0, 35):
        camera = portrait_camera(egg.vertices, yaw, 120, height=90, margin=1.0)
        pixels, depth = camera.project(egg.vertices)
        assert depth.min() > 0
        assert pixels.min() >= -1e-6
        # Height binds here: the mesh touches both borders.
        np.testing.assert_allclose([pixels[:, 1].min(), pixels[:, 1].max()], [0, 90], atol=1e-6)
        assert pixels[:, 0].max() <= 120


def test_a_box_frames_like_its_corners():
    corners = np.array([[x, y, z] for x in FACE_BOX[:, 0] for y in FACE_BOX[:, 1]
                        for z in FACE_BOX[:, 2]])  # fmt: skip
    ours, theirs = portrait_camera(FACE_BOX, 20), portrait_camera(corners, 20)
    np.testing.assert_allclose(ours.intrinsics, theirs.intrinsics, atol=1e-9)


def test_background_is_transparent_or_as_asked(egg):
    camera = portrait_camera(egg.vertices, size=48)
    clear = shade(egg, camera)
    assert clear.shape == (48, 48, 4)
    assert clear[0, 0, 3] == 0
    assert clear[24, 24, 3] == 255
    white = shade(egg, camera, background=(255, 255, 255))
    assert white[0, 0].tolist() == [255, 255, 255, 255]
    np.testing.assert_array_equal(white[24, 24], clear[24, 24])


def test_the_key_light_stands_at_the_upper_left(egg):
    camera = portrait_camera(egg.vertices, size=64)
    picture = shade(egg, camera, background=(0, 0, 0))[..., 0].astype(int)
    assert picture[24, 22] > picture[44, 48]
    # Lights move with the camera: the back of an egg is lit from the same side.
    behind = shade(egg, portrait_camera(egg.vertices, 180, 64), background=(0, 0, 0))[..., 0]
    assert int(behind[24, 22]) > int(behind[44, 48])


def test_colours_and_textures_are_told_apart_from_clay(egg):
    camera = portrait_camera(egg.vertices, size=48)
    red = np.tile(np.array([220, 30, 30], np.uint8), (len(egg.vertices), 1))
    coloured = shade(egg, camera, colours=red)[24, 24]
    textured = shade(egg, camera, texture=np.tile(red[0], (8, 8, 1)))[24, 24]
    np.testing.assert_allclose(coloured.astype(int), textured.astype(int), atol=1)
    assert coloured[0] > 2 * coloured[1]


def test_openness_is_full_on_an_egg_and_half_in_a_right_corner(egg):
    normals = vertex_normals(egg.vertices, egg.faces)
    assert ambient_openness(RayScene(egg.vertices, egg.faces), normals).min() > 0.85
    # A floor and a tall wall: by symmetry the floor's edge loses half of its cosine-weighted sky.
    floor = np.array([[-1000, 0, 0], [1000, 0, 0], [1000, 0, 1000], [-1000, 0, 1000]], float)
    wall = np.array([[-9000, 0, -1], [9000, 0, -1], [9000, 9000, -1], [-9000, 9000, -1]], float)
    point = np.array([[0.0, 0.0, 0.0]])
    vertices = np.concatenate([point, floor, wall])
    faces = np.array([[1, 4, 2], [2, 4, 3], [5, 6, 7], [5, 7, 8]], np.int32)
    up = np.tile(np.array([0.0, 1.0, 0.0]), (len(vertices), 1))
    openness = ambient_openness(RayScene(vertices, faces), up, directions=400)[0]
    assert abs(openness - 0.5) < 0.03


def test_the_back_of_an_open_sheet_is_darker(egg):
    front = egg.faces[egg.vertices[egg.faces].mean(axis=1)[:, 2] > -65]
    half = Mesh(egg.vertices, front)
    camera_front = portrait_camera(egg.vertices, 0, 48)
    camera_back = portrait_camera(egg.vertices, 180, 48)
    assert shade(half, camera_back)[24, 24, 0] < shade(half, camera_front)[24, 24, 0] - 40
