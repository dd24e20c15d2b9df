-- What became of decisions: one that needs a run has been executed only when that run has succeeded.

alter table tenant_sync
    -- The run that executes the decision. Null: it needs none, or it was made before this was recorded.
    add column decision_run_id uuid,
    add column decision_state text constraint tenant_sync_decision_state_is_known
        check (decision_state in ('pending', 'executed', 'failed')),
    -- Why that run did not succeed.
    add column decision_run_reason text,
    add constraint tenant_sync_open_decision_has_run check (decision_state = 'executed' or decision_run_id is not null);

-- They took the conflict mark away when they were made. A server of before, which still runs during an upgrade, leaves the state null and
-- does the same.
update tenant_sync set decision_state = 'executed' where decision is not null;

-- The one place where a decision learns of its run's end, so that no way to end a run can forget it.
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

-- The condition is evaluated without calling the function: few runs execute a decision.
create trigger run_history_record_decision_result after insert on run_history
    for each row when (new.options ? 'decision') execute function record_decision_result();

-- An id of a time: a UUIDv7 whose 12 bits after the version are the fraction of the millisecond, as RFC 9562 has it in section 6.2, method 3,
-- and whose next 14 bits are `nth`, so that the ids that one statement makes are in its own order. The database makes the ids of all that is
-- accepted: they are what "last", windows of time and streams go by, and servers' clocks differ.
create function run_id_at(at timestamptz, nth bigint) returns uuid language sql volatile parallel safe as $$
    select (lpad(to_hex((date_part('epoch', at) * 1000000)::bigint / 1000), 12, '0')
            || '7' || lpad(to_hex((date_part('epoch', at) * 1000000)::bigint % 1000 * 4096 / 1000), 3, '0')
            || to_hex(32768 + nth % 16384)
            || right(gen_random_uuid()::text, 12))::uuid
$$;

-- What the guards of a batch's runs stop, or in a dry run would stop, and why its runs fail.

alter table batch
    -- Runs by the rules that stop them, the rules with commas and in their order: {"primary_change": 40, "primary_change,removals": 4}.
    add column stopped jsonb not null default '{}',
    -- Failed runs by reason.
    add column failure_reason_counts jsonb not null default '{}',
    -- How many runs the guards of runs may be overridden for, as confirmed; null: they are not overridden. How many they were for.
    add column max_overrides bigint,
    add column overrides_reserved bigint not null default 0,
    add constraint batch_overrides_within_limit check (overrides_reserved <= max_overrides);

-- The rules that stop a plan; null: none does.
create function stopping_rules(plan jsonb) returns text language sql immutable parallel safe as $$
    select string_agg(guard ->> 'rule', ',' order by guard ->> 'rule' collate "C")
      from jsonb_array_elements(plan -> 'guards') as guard
     where guard ->> 'outcome' = 'stopped'
$$;

-- How often each of these texts is there.
create function count_texts(texts text[]) returns jsonb language sql immutable parallel safe as $$
    select coalesce(jsonb_object_agg(text, count), '{}')
      from (select text, count(*) as count from unnest(texts) as text group by text) as counts
$$;

create or replace function count_ended_batch_runs() returns trigger language plpgsql as $$
declare
    batches uuid[] := array(select distinct batch_id from ended where batch_id is not null);
begin
    if batches = '{}' then
        return null;
    end if;
    perform 1 from batch where id = any (batches) order by id for update;
    update batch
       set succeeded = batch.succeeded + counted.succeeded,
           failed = batch.failed + counted.failed,
           skipped = batch.skipped + counted.skipped,
           joined = batch.joined + counted.joined,
           cancelled = batch.cancelled + counted.cancelled,
           out_of_sync = batch.out_of_sync + counted.out_of_sync,
           primary_changes = batch.primary_changes + counted.primary_changes,
           created = batch.created + counted.created,
           updated = batch.updated + counted.updated,
           deleted = batch.deleted + counted.deleted,
           unmapped = batch.unmapped + counted.unmapped,
           stopped = case when counted.stopped is null then batch.stopped
                          else add_counts(batch.stopped, count_texts(counted.stopped)) end,
           failure_reason_counts = case when counted.failure_reason_counts is null then batch.failure_reason_counts
                                  else add_counts(batch.failure_reason_counts, count_texts(counted.failure_reason_counts)) end,
           ended_at = case when batch.expanded_at is not null and batch.runs_ended + counted.runs = batch.runs_created then counted.ended_at end
      from (select batch_id,
                   count(*) as runs,
                   count(*) filter (where state = 'succeeded') as succeeded,
                   count(*) filter (where state = 'failed') as failed,
                   count(*) filter (where state = 'skipped' and reason <> 'JOINED') as skipped,
                   count(*) filter (where state = 'skipped' and reason = 'JOINED') as joined,
                   count(*) filter (where state = 'cancelled') as cancelled,
                   count(*) filter (where out_of_sync) as out_of_sync,
                   count(*) filter (where plan @? '$.changes[*] ? (@.before.role == "primary")') as primary_changes,
                   sum(created) as created,
                   sum(updated) as updated,
                   sum(deleted) as deleted,
                   sum(ended.unmapped) as unmapped,
                   -- A real run meets its guards where it would write: one that ended before was not stopped by them.
                   array_agg(stopping_rules(plan))
                       filter (where (dry_run or reason = 'GUARD') and stopping_rules(plan) is not null) as stopped,
                   array_agg(reason) filter (where state = 'failed') as failure_reason_counts,
                   max(ended_at) as ended_at
              from ended
             where batch_id is not null
             group by batch_id) counted
     where batch.id = any (batches) and batch.id = counted.batch_id;
    return null;
end
$$;

-- Which dry batch was the last of its kind.
create index batch_dry on batch (strategy, id) where dry_run;
