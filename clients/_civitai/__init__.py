"""What the CivitAI client is made of; clients.civitai_client is the door."""
