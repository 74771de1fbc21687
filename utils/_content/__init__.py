"""What utils.content_validator is made of: the words, how they are read, and the classifier of pictures."""
