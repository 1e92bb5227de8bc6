"""Several processes: the weights of one, and the same bytes after a kill."""

import torch
from made_up_people import MODEL, TRAIN
from two_processes import require_near, results, trained

from facemill.mofanerf.train import train

SETTINGS = {"model": MODEL, "train": TRAIN | {"steps": 8, "checkpoint_steps": 3, "log_every": 4}}


def test_two_processes_end_with_the_weights_of_one_and_survive_a_kill(rendered, tmp_path):
    inputs = (rendered.codes, rendered.split, rendered.views)
    paths = [(tmp_path / "one").with_suffix(end) for end in (".safetensors", ".csv", ".json")]
    train(*inputs, SETTINGS, tmp_path / "work", *paths, threads=1)
    two = trained(tmp_path, "mofanerf", inputs, SETTINGS, "two")
    require_near(results(tmp_path / "one"), two)
    trained(tmp_path, "mofanerf", inputs, SETTINGS, "killed", kill_at=2)
    again = trained(tmp_path, "mofanerf", inputs, SETTINGS, "killed")
    assert again[1]["times_resumed"] == 1
    assert all(torch.equal(again[0][name], weight) for name, weight in two[0].items())
