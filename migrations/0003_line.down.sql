drop index run_by_age;
create index run_by_strategy on run (strategy, id);
create index run_by_age on run (created_at);
-- Whoever was in line is due; for all others the column has no meaning.
alter table run disable trigger run_terminal_is_final;
update run set due_at = created_at where due_at is null;
alter table run enable trigger run_terminal_is_final;
create index run_due on run (due_at, id) where state = 'queued';
create index run_lease on run (lease_until) where state = 'running';
alter table run
    drop column bulk,
    drop column lane,
    drop column turn,
    drop column rescues,
    alter column due_at set not null;
drop index run_running;
drop index run_waiting;
