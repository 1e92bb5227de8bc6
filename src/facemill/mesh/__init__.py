"""The geometry of faces: frames, crop, visibility, watertighting, sampling, surfaces."""
