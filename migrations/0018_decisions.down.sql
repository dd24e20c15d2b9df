drop index batch_dry;
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
                   max(ended_at) as ended_at
              from ended
             where batch_id is not null
             group by batch_id) counted
     where batch.id = any (batches) and batch.id = counted.batch_id;
    return null;
end
$$;
drop function count_texts(text[]);
drop function stopping_rules(jsonb);
alter table batch
    drop column overrides_reserved,
    drop column max_overrides,
    drop column failure_reason_counts,
    drop column stopped;
drop function run_id_at(timestamptz, bigint);
drop trigger run_history_record_decision_result on run_history;
drop function record_decision_result();
alter table tenant_sync
    drop column decision_run_reason,
    drop column decision_state,
    drop column decision_run_id;
