-- Accounts' own credentials for Google. An account without a row uses those of the server's
-- settings.

-- One sequence for all accounts: credentials that are deleted and set again get a revision that no
-- server has in memory.
create sequence gbp_credentials_revision;

create table gbp_credentials (
    account_id text collate "C" primary key,
    -- The end of the OAuth client's id, which is enough to recognize the client. All else is
    -- encrypted.
    client_id_suffix text not null,
    -- The digest of the key that decrypts the row. The keys themselves are never in the database.
    key_id text not null,
    -- AES-256-GCM: 12 bytes of nonce, the ciphertext, 16 bytes of tag. Account and key id are
    -- associated data.
    ciphertext bytea not null constraint gbp_credentials_are_encrypted check (octet_length(ciphertext) > 28),
    revision bigint not null,
    updated_at timestamptz not null,
    updated_by text not null,
    -- When Google first and last rejected these credentials; null: it accepts them. Until it
    -- accepts them again, they are tried about once a minute.
    rejected_since timestamptz,
    rejected_at timestamptz,
    reject_reason text,
    constraint gbp_credentials_rejection_has_reason check ((rejected_at is null) = (reject_reason is null))
);
