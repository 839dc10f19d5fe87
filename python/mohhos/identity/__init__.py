"""Who may do what: the gateway's key, applications, roles, operators and their browsers."""
