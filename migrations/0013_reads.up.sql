-- Reading a long history at the price of a short one: days that are over are counted for each tenant, once; and every list has an index
-- to go by that the planner, which plans for any values, does not pass by.

-- However long the history is by now.
set local statement_timeout = 0;

-- What the runs of a day came to, for each tenant. Only of days that are over and have no live run left, so no run pays for it when it ends.
create table tenant_rollup (
    tenant_id text collate "C" not null,
    -- The day (UTC) on which they were accepted, whose partition has them.
    accepted_on date not null,
    -- The day (UTC) on which they ended.
    ended_on date not null,
    -- Empty: none.
    organization_id text collate "C" not null,
    succeeded integer not null,
    failed integer not null,
    skipped integer not null,
    cancelled integer not null,
    dry_runs integer not null,
    out_of_sync integer not null,
    -- The bin of each real run that succeeded or failed.
    duration_buckets smallint[] not null,
    -- The reason of each real run that failed.
    failure_reasons text[] not null,
    -- The newest real runs that failed, at most 5.
    recent_failure_ids uuid[] not null,
    primary key (tenant_id, accepted_on, ended_on, organization_id)
);

-- Only forgetting asks for the age. The rows lie in its order.
create index tenant_rollup_by_end on tenant_rollup using brin (ended_on) with (pages_per_range = 16, autosummarize = on);

-- One row: every ended run that was accepted before this day is counted in `tenant_rollup`. Null: none.
create table tenant_rollup_watermark (day date);
create unique index tenant_rollup_watermark_has_one_row on tenant_rollup_watermark ((true));
insert into tenant_rollup_watermark (day) values (null);

-- The statement that counts ended runs for their tenants; `ended` gives them.
create function tenant_rollup_insert_sql(ended text) returns text language sql immutable as $$
    select 'insert into tenant_rollup as old
            select tenant_id, (run_id_time(id) at time zone ''UTC'')::date, (ended_at at time zone ''UTC'')::date,
                   coalesce(organization_id, ''''),
                   count(*) filter (where not dry_run and state = ''succeeded''),
                   count(*) filter (where not dry_run and state = ''failed''),
                   count(*) filter (where not dry_run and state = ''skipped''),
                   count(*) filter (where not dry_run and state = ''cancelled''),
                   count(*) filter (where dry_run),
                   count(*) filter (where out_of_sync),
                   coalesce(array_agg(duration_bucket(ended_at - started_at))
                                filter (where not dry_run and state in (''succeeded'', ''failed'')), ''{}''),
                   coalesce(array_agg(reason) filter (where not dry_run and state = ''failed''), ''{}''),
                   coalesce((array_agg(id order by id desc) filter (where not dry_run and state = ''failed''))[:5], ''{}'')
              from ' || ended || ' as ended
             group by 1, 2, 3, 4
            on conflict (tenant_id, accepted_on, ended_on, organization_id) do update
               set succeeded = old.succeeded + excluded.succeeded, failed = old.failed + excluded.failed,
                   skipped = old.skipped + excluded.skipped, cancelled = old.cancelled + excluded.cancelled,
                   dry_runs = old.dry_runs + excluded.dry_runs, out_of_sync = old.out_of_sync + excluded.out_of_sync,
                   duration_buckets = old.duration_buckets || excluded.duration_buckets, failure_reasons = old.failure_reasons || excluded.failure_reasons,
                   recent_failure_ids = array(select id from unnest(old.recent_failure_ids || excluded.recent_failure_ids) id order by id desc limit 5)'
$$;

-- A run of a day that is counted already counts itself when it ends.
create function count_late_run() returns trigger language plpgsql as $$
begin
    execute tenant_rollup_insert_sql('(select ($1).*)') using new;
    return null;
end
$$;

-- What a partition does not copy from `run_history`.
create function configure_run_history_partition(partition text, day date) returns void language plpgsql as $$
begin
    -- Lists are planned once, for any values. However few of them there are, each is then taken for rare: what names one goes by its index
    -- and not by all ids.
    execute format('alter table %I alter column tenant_id set (n_distinct = 10000), alter column organization_id set (n_distinct = 10000),
                                   alter column batch_id set (n_distinct = 10000), alter column caller set (n_distinct = 10000),
                                   alter column reason set (n_distinct = 10000)', partition);
    if day < (select until.day from tenant_rollup_watermark until) then
        execute format('create trigger run_history_count_late_run after insert on %I for each row execute function count_late_run()',
                       partition);
    end if;
end
$$;

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
        -- One at a time, and a second check: somebody else may just have made it, or counted the day.
        lock table only run_history in share update exclusive mode;
    end loop;
    -- One that was taken away, and is not dropped yet, has the name still.
    if to_regclass(name) is not null then
        name := base || '_' || txid_current();
    end if;
    execute format('create table %I (like run_history including all)', name);
    perform configure_run_history_partition(name, day);
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
    perform configure_run_history_partition(kept, day);
    execute format('alter table run_history attach partition %I for values from (%L) to (%L)', kept,
                   run_id_floor(day::timestamp at time zone 'UTC'), run_id_floor((day + 1)::timestamp at time zone 'UTC'));
    execute format('drop table %I', old);
end
$$;

-- Counts one more day for the tenants, if it is before `before` and has no live run. Gives whether there was one.
create function roll_up_next_day(before date) returns boolean language plpgsql as $$
declare
    counted date;
    partition text;
begin
    if before <= (select until.day from tenant_rollup_watermark until) then
        return false;
    end if;
    -- Nobody makes a partition meanwhile, and one server counts.
    lock table only run_history in share update exclusive mode;
    select day into counted from tenant_rollup_watermark;
    if counted is null then
        select min(to_date(substr(relname, 13), 'YYYY_MM_DD')) into counted
          from pg_inherits
          join pg_class on pg_class.oid = inhrelid
         where inhparent = 'run_history'::regclass and not inhdetachpending;
    end if;
    if counted is null or counted >= before
       or exists (select from run where id < run_id_floor((counted + 1)::timestamp at time zone 'UTC')) then
        return false;
    end if;
    for partition in
        select relname
          from pg_inherits
          join pg_class on pg_class.oid = inhrelid
         where inhparent = 'run_history'::regclass and not inhdetachpending
           and starts_with(relname, 'run_history_' || to_char(counted, 'YYYY_MM_DD'))
    loop
        -- A run of that day that ends now, though none was live, waits for this, and counts itself.
        execute format('lock table %I in share row exclusive mode', partition);
        execute tenant_rollup_insert_sql(format('(select * from %I)', partition));
        execute format('create trigger run_history_count_late_run after insert on %I for each row execute function count_late_run()',
                       partition);
    end loop;
    update tenant_rollup_watermark set day = counted + 1;
    return true;
end
$$;

do $$
declare
    partition text;
begin
    for partition in select relname from pg_inherits join pg_class on pg_class.oid = inhrelid where inhparent = 'run_history'::regclass loop
        perform configure_run_history_partition(partition, '-infinity');
    end loop;
end
$$;

-- What failed, of a tenant or an organization, is asked for most, and is seldom much; so is what an organization's runs found. A run that
-- succeeds and finds nothing is in none of these.
create index run_history_by_tenant_and_state on run_history (tenant_id, state, id) where state <> 'succeeded';
create index run_history_by_organization_and_state on run_history (organization_id, state, id)
    where state <> 'succeeded' and organization_id is not null;
create index run_history_by_organization_out_of_sync on run_history (organization_id, id)
    where out_of_sync and organization_id is not null;

-- Days that are over are not looked at again by themselves.
analyze run_history;
