"""Where a machine fetches packages, as its own source lists say."""

from hub.runtime.machine import Mirror, choose_mirrors, deb822_sources, one_line_sources

ONE_LINE = """
# deb http://commented.example/debian bookworm main
deb cdrom:[Debian 12]/ bookworm main
deb http://mirror.example/debian/ bookworm main contrib # near
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/a.gpg] http://other.example/debian bookworm-updates main
deb http://security.example/debian-security bookworm-security main
deb http://tools.example/apt stable extra
"""

PARAGRAPHS = """
Types: deb
# an older address
URIs: http://mirror.example/debian
      http://second.example/debian/
Suites: bookworm bookworm-updates
Components: main non-free-firmware
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: mirror+file:///etc/apt/mirrors/security.list
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://disabled.example/debian
Suites: bookworm
Components: main
"""


def test_one_line_lists() -> None:
    assert choose_mirrors(one_line_sources(ONE_LINE)) == (
        ("http://mirror.example/debian",),
        ("http://security.example/debian-security",),
    )


def test_paragraph_lists() -> None:
    assert next(deb822_sources(PARAGRAPHS)) == Mirror("http://mirror.example/debian", ("bookworm", "bookworm-updates"))
    assert choose_mirrors(deb822_sources(PARAGRAPHS)) == (
        ("http://mirror.example/debian", "http://second.example/debian"),
        ("mirror+file:///etc/apt/mirrors/security.list",),
    )
