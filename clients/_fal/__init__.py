"""What the FAL engine is made of: known models, payloads, replies, errors, tickets, downloads."""
