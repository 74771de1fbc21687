"""Real servers that tests start for themselves, from the package registries, on loopback."""
