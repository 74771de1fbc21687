"""The inside of clients.ledger: everything here imports SQLAlchemy, so it is imported only when a ledger is opened."""
