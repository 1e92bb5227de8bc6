"""Drawing: shaded meshes, error maps, contact sheets, curves, the 3D page."""
