-- Inserts the runs that `ended` deleted into the history, as of $1 (null: the clock of the database).
-- `ended` has the columns that a run keeps under their names, and those that its end may change with
-- the prefix `end_`.
insert into run_history (id, tenant_id, organization_id, batch_id, strategy, dry_run, state, revision, fencing_token, uncounted_attempts,
                         max_attempts, cancel_requested, plan, write_intent, attempts, written, created, updated, deleted,
                         unmapped, reason, error, caller, request_id, created_at, started_at, attempt_started_at, ended_at,
                         options)
select id, tenant_id, organization_id, batch_id, strategy, dry_run, end_state, revision + 1, fencing_token, end_handed_back,
       max_attempts, end_cancel_requested, end_plan, end_write_intent, attempts, end_written, end_created, end_updated, end_deleted,
       end_unmapped, end_reason, end_error, caller, request_id, created_at, started_at, attempt_started_at, coalesce($1, now()),
       options
  from ended
