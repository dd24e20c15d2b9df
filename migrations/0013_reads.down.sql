drop index run_history_by_tenant_and_state, run_history_by_organization_and_state, run_history_by_organization_out_of_sync;

-- Makes the partition of a day, unless it is there. Nobody who reads or ends runs waits for it.
create or replace function ensure_run_history_partition(day date) returns void language plpgsql as $$
declare
    base text := 'run_history_' || to_char(day, 'YYYY_MM_DD');
    name text := base;
begin
    for look in 1..2 loop
        if exists (select from pg_inherits
                     join pg_class on pg_class.oid = inhrelid
                    where inhparent = 'run_history'::regclass and not inhdetachpending and starts_with(relname, base)) then
            return;
        end if;
        -- One at a time, and a second check: somebody else may just have made it.
        lock table run_history in share update exclusive mode;
    end loop;
    -- One that was taken away, and is not dropped yet, has the name still.
    if to_regclass(name) is not null then
        name := base || '_' || txid_current();
    end if;
    execute format('create table %I (like run_history including all)', name);
    execute format('alter table run_history attach partition %I for values from (%L) to (%L)', name,
                   run_id_floor(day::timestamp at time zone 'UTC'), run_id_floor((day + 1)::timestamp at time zone 'UTC'));
end
$$;

-- Puts the failed runs of a day, which was taken out of the history, back into it, and drops the rest.
create or replace function retain_failed_run_history(old text, day date) returns void language plpgsql as $$
declare
    kept text := 'run_history_' || to_char(day, 'YYYY_MM_DD') || '_failed';
    columns text := (select string_agg(quote_ident(attname), ', ')
                       from pg_attribute
                      where attrelid = 'run_history'::regclass and attnum > 0 and not attisdropped and attgenerated = '');
begin
    execute format('create table %I (like run_history including all)', kept);
    execute format('insert into %I (%s) select %s from %I where state = %L', kept, columns, columns, old, 'failed');
    execute format('alter table run_history attach partition %I for values from (%L) to (%L)', kept,
                   run_id_floor(day::timestamp at time zone 'UTC'), run_id_floor((day + 1)::timestamp at time zone 'UTC'));
    execute format('drop table %I', old);
end
$$;

do $$
declare
    counted text;
begin
    for counted in select tgrelid::regclass from pg_trigger where tgname = 'run_history_count_late_run' loop
        execute format('drop trigger run_history_count_late_run on %s', counted);
    end loop;
    for counted in select inhrelid::regclass from pg_inherits where inhparent = 'run_history'::regclass loop
        execute format('alter table %s alter column tenant_id reset (n_distinct), alter column organization_id reset (n_distinct),
                                      alter column batch_id reset (n_distinct), alter column caller reset (n_distinct),
                                      alter column reason reset (n_distinct)', counted);
    end loop;
end
$$;
drop function roll_up_next_day(date);
drop function configure_run_history_partition(text, date);
drop function count_late_run();
drop function tenant_rollup_insert_sql(text);
drop table tenant_rollup_watermark;
drop table tenant_rollup;
