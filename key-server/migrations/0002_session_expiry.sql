-- Old sessions are looked for by their end.
CREATE INDEX session_by_expiry ON session (expires_at);
