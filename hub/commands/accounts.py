"""`beffroi accounts write`: what a Mosquitto that runs in a container of its own reads."""

from dataclasses import replace

from hub.errors import BadSetting
from hub.runtime.mosquitto import Mosquitto
from hub.secrets import Secrets, private_folder
from hub.settings import Settings

EVERYWHERE = "0.0.0.0"


def write(settings: Settings) -> str:
    """Write configuration, passwords and access list as the embedded broker's, listening to its network."""
    if settings.mqtt_url:
        raise BadSetting("BEFFROI_MQTT_URL names a broker of your own: it does not read what the hub writes")
    home = private_folder(settings.home.resolve())
    broker = replace(Mosquitto.of(settings), host=EVERYWHERE)
    broker.prepare(Secrets.of(home))
    return f"A broker that runs with {broker.folder / 'mosquitto.conf'} knows the accounts of this hub."
