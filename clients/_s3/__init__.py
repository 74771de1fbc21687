"""What the S3 client is made of; only clients.minio_client knows these."""
