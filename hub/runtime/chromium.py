"""An unpacked Chromium for the tests: how it is started, and the fonts that it sees."""

from pathlib import Path

from hub.runtime import debian
from hub.runtime.machine import this_machine

LAUNCH_ARGUMENTS = (
    "--no-sandbox",  # the kernel's sandbox needs a set-uid helper, or rights that root in a container lacks
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-background-networking",
    "--no-first-run",
)
"""What Playwright's `launch(args=...)` needs for WebGL without a graphics card."""


def write_launcher(folder: Path) -> Path:
    """The program to start in the folder of an unpacked Chromium."""
    launcher = folder / "launch"
    _write_once(folder / "fonts.conf", _fonts(folder))
    _write_once(launcher, _launcher(folder))
    launcher.chmod(0o755)
    return launcher


def _launcher(folder: Path) -> str:
    place = debian.libraries(folder, this_machine())
    # A library with a search path of its own (PulseAudio's) does not look where the program tells it to.
    return (
        "#!/bin/sh\n"
        f"export LD_LIBRARY_PATH='{place}:{place}/pulseaudio' FONTCONFIG_FILE='{folder}/fonts.conf'\n"
        f"exec '{folder}/usr/lib/chromium/chromium' \"$@\"\n"
    )


def _fonts(folder: Path) -> str:
    return (
        '<?xml version="1.0"?>\n<!DOCTYPE fontconfig SYSTEM "fonts.dtd">\n<fontconfig>\n'
        f"  <dir>{folder}/usr/share/fonts</dir>\n  <dir>/usr/share/fonts</dir>\n"
        '  <cachedir prefix="xdg">fontconfig</cachedir>\n'
        "  <alias><family>sans-serif</family><prefer><family>DejaVu Sans</family></prefer></alias>\n"
        "  <alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>\n"
        "</fontconfig>\n"
    )


def _write_once(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
