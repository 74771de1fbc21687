"""The inside of clients.model_files: where weight files lie, and what each of them is."""
