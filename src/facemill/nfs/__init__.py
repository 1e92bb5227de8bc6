"""NFS: Neural Face Skinning for mesh-agnostic facial expression cloning (Cha et al., CGF 2025).

Implemented: the published network (design new2) and its ablations new1 and nfr, decoders for
displacements, positions and Jacobians, all loss terms, training on any batch size, operators of any
mesh. What differs from the paper and why: docs/nfs.md.
"""
