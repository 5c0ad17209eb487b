"""The run's own database: `migrate.ledger.ledger.Ledger`, its records in `migrate.ledger.records`."""
