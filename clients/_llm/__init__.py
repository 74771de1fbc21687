"""What the language model client is made of; clients.llm_client is the door."""
