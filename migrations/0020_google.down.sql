-- The next look finds these tenants' cause by the rules of before.
update tenant_sync set cause = 'unknown', digest = null
 where cause in ('location_closed', 'duplicate_location', 'no_voice_of_merchant');
alter table tenant_sync drop constraint tenant_sync_cause_is_known;
alter table tenant_sync add constraint tenant_sync_cause_is_known
    check (cause in ('in_sync', 'platform_changed', 'mapping_changed', 'merchant_edited', 'google_edited', 'edit_in_review',
                     'category_retired', 'never_synced', 'unknown'));

alter table gbp_credentials drop column rejected_since;
