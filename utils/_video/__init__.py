"""What utils.video is made of."""
