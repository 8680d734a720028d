import shutil

from monitoring.hardware import data_folder
from monitoring.hardware.agent import Agent
from monitoring.hardware.inventory import inventory
from monitoring.hardware.nvml import Gpus


def test_a_folder_keeps_its_identity_and_a_copy_of_it_is_another_folder(tmp_path):
    home = tmp_path / "home"
    made = data_folder.identity(home)
    assert data_folder.identity(home) == made
    shutil.copytree(home, tmp_path / "copy")
    copied = data_folder.identity(tmp_path / "copy")
    assert copied != made
    assert data_folder.identity(tmp_path / "copy") == copied
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["identity"]


def test_a_file_that_was_cut_short_is_made_anew(tmp_path):
    (tmp_path / "identity").write_text("4f")
    assert len(data_folder.identity(tmp_path)) == 32


def test_the_worker_and_the_agent_say_the_same_of_their_folder(tmp_path):
    gpus = Gpus(None)
    system, _ = inventory(gpus, slots=1, home=tmp_path)
    agent = Agent(None, None, gpus, slots=1, home=tmp_path)
    said = agent.description({}, [])["system"]
    assert {"data_folder", "data_folder_id"} <= system.keys()
    assert said["data_folder_id"] == system["data_folder_id"] == data_folder.identity(tmp_path)
    assert "data_folder" not in inventory(gpus, slots=1)[0]
