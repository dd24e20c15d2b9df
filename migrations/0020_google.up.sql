-- What Google says of credentials, and of locations that it does not publish.

-- Since when Google refuses credentials, while `rejected_at` is when it last did. A run that was accepted before waits for others.
-- Null beside a rejection: a server of an earlier version has noted it.
alter table gbp_credentials add column rejected_since timestamptz;

-- Causes that are the location's own. Every row satisfied the former list, so it need not be read again.
alter table tenant_sync drop constraint tenant_sync_cause_is_known;
alter table tenant_sync add constraint tenant_sync_cause_is_known
    check (cause in ('in_sync', 'platform_changed', 'mapping_changed', 'merchant_edited', 'google_edited', 'edit_in_review',
                     'category_retired', 'never_synced', 'unknown', 'location_closed', 'duplicate_location',
                     'no_voice_of_merchant')) not valid;
