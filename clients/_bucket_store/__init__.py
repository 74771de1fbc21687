"""What the write-behind store is made of; only clients.bucket_store knows these."""
