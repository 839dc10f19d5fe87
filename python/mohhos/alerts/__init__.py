"""Alerts: what rules raise for people, from the first raise until somebody or the rule resolves it."""
