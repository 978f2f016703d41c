"""Which packages the hub unpacks for itself; pure."""

from hub.runtime.debian import Bundle

DOCUMENTATION = tuple(
    f"usr/share/{name}"
    for name in (
        "doc",
        "doc-base",
        "man",
        "info",
        "locale",
        "lintian",
        "bug",
        "bash-completion",
        "perl*",
        "i18n",
    )
)

SERVERS = Bundle(
    name="servers",
    title="TimescaleDB and Mosquitto",
    packages=("postgresql-17-timescaledb", "mosquitto", "mosquitto-clients"),
    # Everything that is neither a library nor one of the servers (perl, debconf, passwd...), and LLVM:
    # it serves PostgreSQL's just-in-time compiler only, which is off.
    needless=r"lib(llvm|z3|perl|semanage|sepol|proc2|.*-perl|.*-bin).*|(?!lib|zlib|postgresql-(client-)?17|mosquitto).*",
    prune=(
        *DOCUMENTATION,
        "etc",
        "var",
        "usr/lib/postgresql/17/lib/bitcode",
        "usr/lib/postgresql/17/lib/llvmjit*",
        "usr/lib/*/perl*",
        "usr/lib/*/gconv",
        "usr/lib/systemd",
    ),
    programs=("usr/lib/postgresql/17/bin/*", "usr/sbin/mosquitto", "usr/bin/mosquitto*"),
)

CHROMIUM = Bundle(
    name="chromium",
    title="Chromium",
    packages=("chromium", "fonts-dejavu-core"),
    # Mesa and LLVM drive a graphics card; pages are drawn by Chromium's own software renderer.
    needless=r"(libllvm|libz3|mesa|libgl1-mesa|systemd|libsystemd-shared|libpam|dbus|adwaita|libgtk-3-common).*",
    prune=(*DOCUMENTATION, "var", "usr/lib/systemd", "usr/lib/*/gconv", "usr/lib/chromium/locales/[!ef]*"),
    programs=("usr/lib/chromium/chromium", "usr/lib/chromium/chrome_crashpad_handler"),
)
