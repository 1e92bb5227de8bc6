"""Published numbers, to be read beside ours: NFS and others, as its authors' follow-up has them."""

from facemill.metrics.tables import aligned

METHODS = ("Neural Cages", "NFR", "NFS", "PDB")

PUBLISHED = (
    ("Table 2", "onto themselves, ICT", "1e-4", ("64.7652", "1.9921", "0.6161", "0.5731")),
    ("Table 2", "onto themselves, Multiface", "1e-4", ("11.6344", "2.9145", "2.5024", "0.8392")),
    ("Table 2", "cycle, ICT over Multiface", "1e-4", ("89.0935", "1.0957", "1.2264", "0.9101")),
    ("Table 2", "cycle, Multiface over ICT", "1e-4", ("53.2029", "4.2026", "4.1020", "3.0792")),
    ("Table 3", "neutral", "1e-6", ("511.031", "100.984", "8.148", "8.779")),
    ("Table 4", "Laplacian coordinates, ICT", "1e-4", ("5927.2", "1.1284", "1.6646", "1.2771")),
    (
        "Table 4",
        "Laplacian coordinates, Multiface",
        "1e-4",
        ("178.2", "1.2206", "3.9028", "1.8993"),
    ),
)
"""Table, what, factor and the methods' values: PDB (Cha, Shin, Yu, Noh), which measures NFR and NFS
with the split of NFS; mean squared errors inside the mask of the inner face, PDB with K = 512."""

CAPTION = (
    "Published, by the follow-up of NFS's authors (PDB, Tables 2 to 4): mean squared errors inside "
    "the same mask, of networks in full size, trained and tested on ICT-FaceKit and Multiface. "
    "Table 2 calls its unit mm²; we read it as canonical units, dm² (docs/nfs.md), as "
    "vertex_mse_inner is. Which Laplacian theirs is, is not said. Numbers above are of other "
    "people, unless this run is of ICT in full size."
)


def published_markdown() -> str:
    """The published numbers as a table for reading, with a caption that says of whom they are."""
    lines = [["from", "what", "factor", *METHODS]]
    lines += [[t, what, f"x {factor}", *values] for t, what, factor, values in PUBLISHED]
    return f"**published**\n\n{CAPTION}\n\n{aligned(lines)}\n"
