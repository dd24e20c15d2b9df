drop index run_by_age;
create index run_by_strategy on run (strategy, id);
create index run_by_age on run (created_at);
-- Whoever was in the ready queue is due; for all others the column has no meaning.
alter table run disable trigger run_terminal_is_final;
update run set next_attempt_at = created_at where next_attempt_at is null;
alter table run enable trigger run_terminal_is_final;
create index run_by_next_attempt on run (next_attempt_at, id) where state = 'queued';
create index run_lease on run (lease_expires_at) where state = 'running';
alter table run
    drop column bulk,
    drop column fairness_key,
    drop column fairness_rank,
    drop column lease_expirations,
    alter column next_attempt_at set not null;
drop index run_running;
drop index run_delayed;
