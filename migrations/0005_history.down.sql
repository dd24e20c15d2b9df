drop view all_runs;
alter table run reset (
    fillfactor,
    autovacuum_vacuum_scale_factor,
    autovacuum_vacuum_threshold,
    autovacuum_vacuum_insert_threshold,
    autovacuum_vacuum_cost_delay,
    toast.autovacuum_vacuum_scale_factor,
    toast.autovacuum_vacuum_threshold,
    toast.autovacuum_vacuum_cost_delay
);
drop index run_one_live_a_tenant;
alter table run
    drop constraint run_state_is_known,
    drop column attempts,
    drop column attempt_started_at,
    add column out_of_sync boolean not null generated always as (plan is not null and plan -> 'changes' <> '[]') stored,
    add column ended_at timestamptz,
    add constraint run_state_is_known check (state in ('queued', 'running', 'succeeded', 'failed', 'skipped', 'cancelled')),
    add constraint run_end_when_terminal check ((state in ('queued', 'running')) = (ended_at is null)),
    add constraint run_failed_has_reason check (state <> 'failed' or (reason is not null and error is not null)),
    add constraint run_skipped_has_reason check (state <> 'skipped' or reason is not null);
insert into run (id, tenant_id, organization_id, strategy, dry_run, state, revision, fencing_token, uncounted_attempts, max_attempts,
                 cancel_requested, plan, write_intent, written, created, updated, deleted, unmapped, reason, error,
                 caller, request_id, created_at, started_at, ended_at, fairness_key)
select id, tenant_id, organization_id, strategy, dry_run, state, revision, fencing_token, uncounted_attempts, max_attempts,
       cancel_requested, plan, write_intent, written, created, updated, deleted, unmapped, reason, error,
       caller, request_id, created_at, started_at, ended_at, organization_id
  from run_history;
create unique index run_one_live_a_tenant on run (tenant_id) where state in ('queued', 'running');
create index run_by_tenant on run (tenant_id, strategy, id);
create index run_success on run (tenant_id, strategy, ended_at) where state = 'succeeded' and not dry_run;
create index run_ended on run (ended_at) where ended_at is not null;
create index run_failure on run (id) where state = 'failed' and not dry_run;
create index run_by_age on run using brin (created_at) with (pages_per_range = 16, autosummarize = on);
create trigger run_terminal_is_final before update on run
    for each row when (old.ended_at is not null) execute function reject_terminal_update();
drop table last_success;
drop table run_history;
drop function ensure_run_history_partition(date);
drop function run_id_time(uuid);
drop function run_id_floor(timestamptz);
