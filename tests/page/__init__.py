"""The page in a real browser, before the production server."""
