"""What a serving process must be told before it starts: addresses, keys, and how much it keeps."""

from pathlib import Path

import msgspec


class ConfigError(Exception):
    """A configuration file cannot be used. The message names the file, the key and what is allowed."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The configuration of one server. It holds the server's secret key: keep the file readable by its owner only."""

    server_public: str
    server_secret: str
    client_public: str  # the one key that may give commands
    host: str = "127.0.0.1"
    port: int = 0  # of the public HTTP face; 0 takes a free one
    control: str = "tcp://127.0.0.1:*"  # where commands are taken
    model: str = "default"
    records: int = 50_000
    images: int = 10_000
    max_images: int = 1024

    @classmethod
    def read(cls, file: Path) -> "Config":
        """Read a JSON file. Raises `ConfigError`."""
        try:
            return msgspec.json.decode(file.read_bytes(), type=cls)
        except OSError as error:
            raise ConfigError(f"{file} cannot be read ({error.strerror}); workflows.deployment writes one") from error
        except msgspec.DecodeError as error:
            raise ConfigError(f"{file}: {error}; expected a JSON object with some of {list(cls.__struct_fields__)}") from error


class Ready(msgspec.Struct, frozen=True):
    """The one line, in JSON, that a server prints when it answers."""

    url: str
    control: str
    pid: int
