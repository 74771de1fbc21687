"""What a prompt says: its facts, its people, what it could be mistaken for, and what to ask about its picture."""
