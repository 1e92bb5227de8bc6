#!/bin/sh
# Runs once after the environment is made, in the project root: facemill itself, editable.
pip install --no-deps -e .
