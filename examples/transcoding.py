"""A music library in which uploaded WAV files become mono before they are integrated.

`python transcoding.py [DIRECTORY]` makes a sound of its own, works in a library in that directory
(or in a temporary one), and prints what happens.
"""

import os
import sys
import tempfile
import wave
from io import BytesIO
from pathlib import Path

from musictasks.music import Settings, open_library
from musictasks.statemachine import MUSIC, MusicTask, Outcome, Stage, Work, reject, succeed

TRANSCODED = MUSIC.with_stage(
    Stage(
        "transcoding",
        group="upload",
        queued="starttranscoding",
        working="transcoding",
        succeeded="readyforintegration",
        failed="transcodingfailed",
        rejected="invalidcontent",
    )
).with_target("preprocessing", "succeed", "starttranscoding")


def to_mono(task: MusicTask, work: Work) -> Outcome:
    """Keeps the left channel of a WAV file; other uploads stay as they are."""
    source = work.directory / str(task.upload_name)
    if source.suffix != ".wav":
        return succeed()
    target = source.with_suffix(".mono.wav")
    try:
        with wave.open(str(source), "rb") as sound, target.open("wb") as file:
            channels, width, rate, frames, *_ = sound.getparams()
            with wave.open(file, "wb") as mono:
                mono.setparams((1, width, rate, frames, "NONE", ""))
                while data := sound.readframes(65_536):
                    work.check()  # asked to stop?
                    left = range(0, len(data), width * channels)
                    mono.writeframesraw(b"".join(data[at : at + width] for at in left))
            os.fsync(file.fileno())
    except (wave.Error, EOFError) as error:
        return reject(f"no WAV file: {error}")  # an OSError becomes a `fail`: it may work later
    changes = {"preprocessed_path": f"{task.id}/{target.name}"}  # what will be integrated
    return succeed(changes=changes, annotations={"channels": 1})


def wav(frames: int) -> bytes:
    """A sound: 16-bit stereo."""
    data = BytesIO()
    with wave.open(data, "wb") as sound:
        sound.setparams((2, 2, 8000, frames, "NONE", ""))
        sound.writeframes(bytes(range(4)) * frames)
    return data.getvalue()


def main(root: Path) -> None:
    settings, handlers = Settings.in_directory(root), {"transcoding": to_mono}
    with open_library(settings, lifecycle=TRANSCODED, handlers=handlers) as engine:
        data = wav(8000)
        task = engine.begin_upload(
            content_type="albumfile", file_size=len(data), source_filename="01 Song.wav"
        )
        engine.receive_chunk(task.id, data)
        task = engine.wait(task.id, "readyforintegration", timeout=30)
        print(*(entry.target for entry in task.history), sep=" > ")
        song = settings.uploads / str(task.preprocessed_path)
        print(f"{len(data)} bytes became {song.stat().st_size}: {task.preprocessed_path}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else temporary))
