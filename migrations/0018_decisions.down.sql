drop index batch_dry;
create or replace function batch_counts_ends() returns trigger language plpgsql as $$
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
           out_of_primary = batch.out_of_primary + counted.out_of_primary,
           created = batch.created + counted.created,
           updated = batch.updated + counted.updated,
           deleted = batch.deleted + counted.deleted,
           unmapped = batch.unmapped + counted.unmapped,
           ended_at = case when batch.expanded_at is not null and batch.over + counted.runs = batch.made then counted.ended_at end
      from (select batch_id,
                   count(*) as runs,
                   count(*) filter (where state = 'succeeded') as succeeded,
                   count(*) filter (where state = 'failed') as failed,
                   count(*) filter (where state = 'skipped' and reason <> 'JOINED') as skipped,
                   count(*) filter (where state = 'skipped' and reason = 'JOINED') as joined,
                   count(*) filter (where state = 'cancelled') as cancelled,
                   count(*) filter (where found_differences) as out_of_sync,
                   count(*) filter (where plan @? '$.changes[*] ? (@.before.place == "primary")') as out_of_primary,
                   sum(created) as created,
                   sum(updated) as updated,
                   sum(deleted) as deleted,
                   sum(ended.skipped) as unmapped,
                   max(ended_at) as ended_at
              from ended
             where batch_id is not null
             group by batch_id) counted
     where batch.id = any (batches) and batch.id = counted.batch_id;
    return null;
end
$$;
drop function texts_counted(text[]);
drop function stopping_rules(jsonb);
alter table batch
    drop column overriding,
    drop column override_limit,
    drop column failure_reasons,
    drop column stopped;
drop function run_id_at(timestamptz, bigint);
drop trigger run_history_settle_decision on run_history;
drop function settle_decision();
alter table tenant_sync
    drop column decision_run_reason,
    drop column decision_state,
    drop column decision_run_id;
