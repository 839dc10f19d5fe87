"""The registry database: connection, migrations, and the projections of the log into it."""
