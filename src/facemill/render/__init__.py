"""Cameras, ray casting, texture lookup, image and depth files."""
