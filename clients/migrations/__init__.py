"""The ledger's Alembic migrations; they run when a ledger is opened (clients._ledger.database)."""
