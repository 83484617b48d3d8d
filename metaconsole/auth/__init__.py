"""Who may do what: accounts, sessions, tokens, roles and the audit trail."""
