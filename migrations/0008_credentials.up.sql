-- Credentials for Google that an account has for itself. An account without a row is reached with those of the server's settings.

-- One sequence for all: credentials that are deleted and set again are told from the former, also by a server that kept those in memory.
create sequence gbp_credentials_revision;

create table gbp_credentials (
    account_id text collate "C" primary key,
    -- The end of the OAuth client's id: enough to see which client it is. Everything else is in `ciphertext`.
    client_id_suffix text not null,
    -- The key that opens it, by a digest. The keys themselves are never here.
    key_id text not null,
    -- AES-256-GCM: 12 bytes of nonce, the text, 16 bytes of tag. Account and key id are associated data.
    ciphertext bytea not null constraint gbp_credentials_are_encrypted check (octet_length(ciphertext) > 28),
    revision bigint not null,
    updated_at timestamptz not null,
    updated_by text not null,
    -- Google refuses them: since then nobody shows them to it, but for a try now and then.
    rejected_at timestamptz,
    reject_reason text,
    constraint gbp_credentials_rejection_has_reason check ((rejected_at is null) = (reject_reason is null))
);
