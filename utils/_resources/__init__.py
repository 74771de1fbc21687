"""What each vendor's library tells of its GPUs; `utils.resources` puts it together."""
