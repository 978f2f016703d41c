"""When each source was last heard survives the process, and nothing depends on the file."""

import pytest

from ingest.heard import HeardFile


def test_silences_go_on_while_nobody_counts(tmp_path):
    path = tmp_path / "heard.json"
    HeardFile(path).save({"city": 5.0, "hsl": 3600.0})
    assert HeardFile(path).silent_s() == {"city": pytest.approx(5, abs=2), "hsl": pytest.approx(3600, abs=2)}


def test_a_clock_that_was_set_back_is_no_silence(tmp_path):
    path = tmp_path / "heard.json"
    HeardFile(path).save({"city": -3600.0})
    assert HeardFile(path).silent_s() == {"city": 0.0}


@pytest.mark.parametrize("text", ["", "[]", '{"city": "long ago"}', "\x00"])
def test_a_file_that_cannot_be_read_tells_nothing(tmp_path, text):
    path = tmp_path / "heard.json"
    assert HeardFile(path).silent_s() == {}
    path.write_text(text)
    assert HeardFile(path).silent_s() == {}


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path):
    HeardFile(tmp_path / "none" / "heard.json").save({"city": 1.0})
