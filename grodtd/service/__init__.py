"""The daemon's interface: HTTP over a Unix socket, described by OpenAPI; its client, and how answers are shown."""
