"""What HuggingFaceClient is made of: the reading of the Hub's answers, and its errors in our words."""
