-- How each tenant's two sides stand, as runs have found them.

-- A row for each tenant that a run has looked at. A run that finds what is here already writes nothing.
create table tenant_sync (
    tenant_id text collate "C" primary key references tenant (id) on delete cascade,
    -- The tenant's, which it follows: so an organization's rows have an index of their own.
    organization_id text,
    -- Whose categories were read. A tenant with another location begins anew.
    gbp_location text not null,
    cause text not null constraint tenant_sync_cause_is_known
        check (cause in ('in_sync', 'platform_changed', 'mapping_changed', 'merchant_edited', 'google_edited', 'edit_in_review',
                         'category_retired', 'never_synced', 'unknown')),
    -- Since when that is the cause.
    cause_at timestamptz not null,
    -- The run that found what is here, and when. Null: none has read Google's side yet.
    observed_at timestamptz,
    observed_run_id uuid,
    -- The run whose observation failed, while the cause is unknown.
    observe_failed_at timestamptz,
    observe_failed_run_id uuid,
    -- Of what was found. Null: the next run has to write, whatever it finds.
    digest text,
    -- Whether `baseline` is what was found.
    matches_baseline boolean not null,
    -- {set, problem, retired}: what the platform's side stands for, or why for nothing, and what Google's list has no more.
    desired jsonb,
    -- {merchant, public, in_review}.
    google jsonb,
    -- {choices, set, run, at}: what the last successful real run left on both sides.
    baseline jsonb,
    -- {set, run, at}: what a run last wrote to Google.
    written jsonb,
    -- When somebody had changed back what a run had written, once for each write, of late.
    overwritten_at timestamptz[] not null default '{}',
    conflict_at timestamptz,
    decision text constraint tenant_sync_decision_is_known check (decision in ('accept_google', 'push_again', 'ignore')),
    decided_by text,
    decided_at timestamptz,
    decision_reason text,
    constraint tenant_sync_decision_is_whole check (num_nulls(decision, decided_by, decided_at, decision_reason) in (0, 4)),
    constraint tenant_sync_unknown_has_no_digest check (cause <> 'unknown' or digest is null),
    constraint tenant_sync_failure_is_unknown check ((observe_failed_at is null) = (observe_failed_run_id is null) and (observe_failed_at is null or cause = 'unknown'))
) with (fillfactor = 80);

create index tenant_sync_by_cause on tenant_sync (cause, tenant_id);
create index tenant_sync_by_organization on tenant_sync (organization_id, cause, tenant_id) where organization_id is not null;
create index tenant_sync_in_conflict on tenant_sync (tenant_id) where conflict_at is not null;

-- Whatever changes a tenant.
create function propagate_tenant_to_sync() returns trigger language plpgsql as $$
begin
    if old.gbp_location is distinct from new.gbp_location then
        delete from tenant_sync where tenant_id = new.id;
    else
        update tenant_sync set organization_id = new.organization_id where tenant_id = new.id;
    end if;
    return null;
end
$$;

-- The condition is evaluated without calling the function.
create trigger propagate_tenant_to_sync after update on tenant for each row
    when (old.gbp_location is distinct from new.gbp_location or old.organization_id is distinct from new.organization_id)
    execute function propagate_tenant_to_sync();
