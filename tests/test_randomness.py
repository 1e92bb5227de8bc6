"""Random numbers depend on the seed and the names, not on the order of use."""

from facemill.randomness import derived_seed, generator


def test_names_and_seed_decide_alone():
    first = generator(0, "d001", "sdf").normal(size=4)
    generator(0, "d002", "sdf").normal(size=100)
    assert (generator(0, "d001", "sdf").normal(size=4) == first).all()
    assert len({derived_seed(0, "a", "b"), derived_seed(0, "ab"), derived_seed(1, "a", "b")}) == 3


def test_seeds_fit_every_library():
    assert all(0 <= derived_seed(seed, "x") < 2**63 for seed in range(1000))
