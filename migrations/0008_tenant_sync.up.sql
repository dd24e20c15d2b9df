-- The sync state of tenants: what runs observed of both sides, and what operators decided.

-- One row for each tenant that a run has observed. A run that observes what is recorded already
-- writes nothing.
create table tenant_sync (
    tenant_id text collate "C" primary key
        constraint tenant_sync_tenant_exists references tenant (id) on delete cascade,
    -- Copied from the tenant, so that an organization's rows have an index.
    organization_id text,
    -- The location that was observed. A tenant that moves starts anew.
    gbp_location text not null,

    cause text not null constraint tenant_sync_cause_is_known
        check (cause in ('in_sync', 'platform_changed', 'mapping_changed', 'merchant_edited', 'google_edited', 'edit_in_review',
                         'category_retired', 'never_synced', 'unknown', 'location_closed', 'duplicate_location',
                         'no_voice_of_merchant')),
    -- Since when this is the cause.
    cause_at timestamptz not null,

    -- The run that made the last observation. Null: no run has read Google's side yet.
    observed_at timestamptz,
    observed_run_id uuid,
    -- The run whose observation failed, while the cause is unknown.
    observe_failed_at timestamptz,
    observe_failed_run_id uuid,
    -- The digest of the observation. Null: the next run has to record what it observes.
    digest text,
    -- Whether the observation equals the baseline.
    matches_baseline boolean not null,
    -- {set, error, retired}: what the platform's categories map to, or the error for which they map
    -- to nothing, and the categories of theirs that Google has retired.
    desired jsonb,
    -- {merchant, public, in_review}: Google's side.
    google jsonb,
    -- {categories, set, run, at}: both sides after the last successful real run.
    baseline jsonb,
    -- {set, run, at}: what a run last wrote to Google.
    written jsonb,
    -- {set, run, at}: the last write to Google whose outcome is unknown, until a run observes the
    -- location.
    unresolved jsonb,

    -- When outside changes undid a run's write, once for each write, within the last days.
    overwritten_at timestamptz[] not null default '{}',
    conflict_at timestamptz,

    decision text constraint tenant_sync_decision_is_known check (decision in ('accept_google', 'push_again', 'ignore')),
    decided_by text,
    decided_at timestamptz,
    decision_reason text,
    -- The run that executes the decision; null: it needs none.
    decision_run_id uuid,
    decision_state text constraint tenant_sync_decision_state_is_known
        check (decision_state in ('pending', 'executed', 'failed')),
    -- Why that run did not succeed.
    decision_run_reason text,

    constraint tenant_sync_unknown_has_no_digest check (cause <> 'unknown' or digest is null),
    constraint tenant_sync_failure_is_unknown
        check ((observe_failed_at is null) = (observe_failed_run_id is null) and (observe_failed_at is null or cause = 'unknown')),
    constraint tenant_sync_decision_is_whole check (num_nulls(decision, decided_by, decided_at, decision_reason) in (0, 4)),
    constraint tenant_sync_open_decision_has_run check (decision_state = 'executed' or decision_run_id is not null)
) with (fillfactor = 80);

create index tenant_sync_by_cause on tenant_sync (cause, tenant_id);
create index tenant_sync_by_organization on tenant_sync (organization_id, cause, tenant_id) where organization_id is not null;
create index tenant_sync_in_conflict on tenant_sync (tenant_id) where conflict_at is not null;

-- Keeps the row in step with its tenant, whichever statement changes the tenant.
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

-- The condition is evaluated without a call of the function.
create trigger propagate_tenant_to_sync after update on tenant for each row
    when (old.gbp_location is distinct from new.gbp_location or old.organization_id is distinct from new.organization_id)
    execute function propagate_tenant_to_sync();

-- Records how the run of a decision ended: only its success executes the decision. As a trigger it
-- covers every way in which runs end.
create function record_decision_result() returns trigger language plpgsql as $$
begin
    if new.state = 'succeeded' then
        update tenant_sync
           set decision_state = 'executed', overwritten_at = '{}', conflict_at = null
         where tenant_id = new.tenant_id and decision_run_id = new.id;
    else
        update tenant_sync
           set decision_state = 'failed', decision_run_reason = coalesce(new.reason, upper(new.state))
         where tenant_id = new.tenant_id and decision_run_id = new.id;
    end if;
    return null;
end
$$;

-- The condition is evaluated without a call of the function, because few runs execute a decision.
create trigger run_history_record_decision_result after insert on run_history
    for each row when (new.options ? 'decision') execute function record_decision_result();
