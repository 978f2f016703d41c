"""A codec under atheris, which changes what it is given until new lines of the code are reached; run by `make soak`.

    python -m tests.guided CODEC FOLDER -runs=1000000

FOLDER keeps what was interesting, so that the next run goes on there. An input is a topic, a line feed and a payload;
what fails is written where libFuzzer's `-artifact_prefix` says.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ingest.codecs", "ingest.decode"]):
    from ingest.codecs.codec import codecs
    from ingest.decode import decode as _  # noqa: F401  # instrumented here, before anything else imports it

    CODECS = codecs()
from ingest.log import Message
from tests.contract.test_codec_fuzz import assert_lawful
from tests.readings import NOW_US


def messages(data: bytes) -> list[Message]:
    """The message that an input is."""
    topic, _, payload = data.partition(b"\n")
    return [Message(0, NOW_US, "city", topic.decode("utf-8", "replace"), payload)]


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    codec = CODECS[name]
    for number, (topic, payload) in enumerate(codec.examples()):
        (folder / f"example-{number}").write_bytes(topic.encode() + b"\n" + payload)
    atheris.Setup([sys.argv[0], str(folder), *sys.argv[3:]], lambda data: assert_lawful(codec, messages(data)))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
