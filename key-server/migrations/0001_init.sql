-- Everything the key server knows. What is derived (tiles, checkpoint file, replayed groups) is not here.
-- Types are chosen so that the same statements run on PostgreSQL (BLOB becomes BYTEA).

-- Facts about this installation, written once each.
CREATE TABLE fact (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
);

-- The transparency log: entries in order, and the hash of every complete subtree (RFC 6962), numbered as tlog does.
CREATE TABLE log_entry (
    idx   BIGINT PRIMARY KEY,
    entry BLOB NOT NULL
);
CREATE TABLE log_node (
    pos  BIGINT PRIMARY KEY,
    hash BLOB NOT NULL
);

CREATE TABLE room (
    id         TEXT PRIMARY KEY,
    -- `standard` or `fips`: which algorithms its groups use.
    profile    TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- A signed-in participant. The token itself is never stored.
CREATE TABLE session (
    token_hash  BLOB PRIMARY KEY,
    room        TEXT NOT NULL REFERENCES room (id),
    participant TEXT NOT NULL,
    device      TEXT NOT NULL,
    name        TEXT NOT NULL,
    role        TEXT NOT NULL,
    expires_at  BIGINT NOT NULL
);

CREATE TABLE certificate (
    fingerprint BLOB PRIMARY KEY,
    der         BLOB NOT NULL,
    log_index   BIGINT NOT NULL UNIQUE REFERENCES log_entry (idx),
    -- The session that asked; NULL for the organisation's own certificates.
    session     BLOB REFERENCES session (token_hash),
    not_after   BIGINT NOT NULL
);
CREATE INDEX certificate_by_session ON certificate (session);

-- One MLS group: a generation of a room. "Open" until ended_at is set.
CREATE TABLE mls_group (
    group_id    BLOB PRIMARY KEY,
    room        TEXT NOT NULL REFERENCES room (id),
    generation  BIGINT NOT NULL,
    -- NULL while the service waits for the creator's GroupInfo.
    group_info  BLOB,
    log_index   BIGINT REFERENCES log_entry (idx),
    roster_salt BLOB,
    -- When the genesis was accepted.
    created_at  BIGINT,
    ended_at    BIGINT,
    UNIQUE (room, generation)
);

-- Proposals of the service, in the order in which they were sent.
CREATE TABLE proposal (
    group_id BLOB NOT NULL REFERENCES mls_group (group_id),
    epoch    BIGINT NOT NULL,
    seq      BIGINT NOT NULL,
    message  BLOB NOT NULL,
    -- Of an Add: where the certificate in it stands on the log.
    certificate_index BIGINT,
    PRIMARY KEY (group_id, epoch, seq)
);

-- The one commit that ended an epoch: the primary key is the compare-and-set.
CREATE TABLE mls_commit (
    group_id    BLOB NOT NULL REFERENCES mls_group (group_id),
    epoch       BIGINT NOT NULL,
    message     BLOB NOT NULL,
    welcome     BLOB,
    log_index   BIGINT NOT NULL REFERENCES log_entry (idx),
    roster_salt BLOB NOT NULL,
    stored_at   BIGINT NOT NULL,
    PRIMARY KEY (group_id, epoch)
);
