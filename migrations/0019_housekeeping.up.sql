-- Housekeeping in bounded pieces: a day of millions of runs is counted, or reduced to its failed runs, one piece a transaction, so that no
-- statement runs into its time limit, a server that dies loses one piece, and nothing is unreadable in between.

-- However long an older server's housekeeping, which is waited for, still takes.
set local statement_timeout = 0;

-- Of day `day`: the runs up to this id are counted in `tenant_rollup`. Null: none of that day is, or the day has none yet. Readers go by
-- `day` alone, so they do not see a day that is half counted.
alter table tenant_rollup_watermark add column counted_to uuid;

-- The sum of two objects of counts.
create or replace function add_counts(one jsonb, other jsonb) returns jsonb language sql immutable parallel safe as $$
    select coalesce(jsonb_object_agg(key, count), '{}')
      from (select key, sum(value::bigint) as count
              from (select key, value from jsonb_each_text(one) union all select key, value from jsonb_each_text(other)) as counts
             group by key) as sums
$$;

-- A run of a day that is counted already, or in the part of a day that is, counts itself when it ends. While a piece is counted, such an
-- end waits for it, and sees here how far it went.
create or replace function count_late_run() returns trigger language plpgsql as $$
begin
    if exists (select from tenant_rollup_watermark until
                where new.id < run_id_floor(until.day::timestamp at time zone 'UTC') or new.id <= until.counted_to) then
        execute tenant_rollup_insert_sql('(select ($1).id, ($1).tenant_id, ($1).organization_id, ($1).dry_run, ($1).state, ($1).reason,
                                             ($1).out_of_sync, ($1).started_at, ($1).ended_at)') using new;
    end if;
    return null;
end
$$;

-- What a partition does not copy from `run_history`.
create or replace function configure_run_history_partition(partition text, day date) returns void language plpgsql as $$
begin
    -- Lists are planned once, for any values. However few of them there are, each is then taken for rare: what names one goes by its index
    -- and not by all ids.
    execute format('alter table %I alter column tenant_id set (n_distinct = 10000), alter column organization_id set (n_distinct = 10000),
                                   alter column batch_id set (n_distinct = 10000), alter column caller set (n_distinct = 10000),
                                   alter column reason set (n_distinct = 10000)', partition);
    -- Also the day that is being counted: the trigger itself finds out how far that is.
    if day <= (select until.day from tenant_rollup_watermark until) then
        execute format('create trigger run_history_count_late_run after insert on %I for each row execute function count_late_run()',
                       partition);
    end if;
end
$$;

-- Counts for the tenants up to `size` more runs of the oldest day that is not counted, if it is before `before` and, at its first piece,
-- has no live run. Returns whether there was anything to count.
create function roll_up_next_chunk(before date, size integer) returns boolean language plpgsql as $$
declare
    counting date;
    counted uuid;
    last uuid;
    first_of_day uuid;
    first_of_next uuid;
    partition text;
begin
    if before <= (select until.day from tenant_rollup_watermark until) then
        return false;
    end if;
    -- No partition is made or taken away in the meantime, and one server counts.
    lock table only run_history in share update exclusive mode;
    select until.day, until.counted_to into counting, counted from tenant_rollup_watermark until;
    if counting is null then
        select min(to_date(substr(relname, 13), 'YYYY_MM_DD')) into counting
          from pg_inherits
          join pg_class on pg_class.oid = inhrelid
         where inhparent = 'run_history'::regclass and not inhdetachpending;
    end if;
    if counting is null or counting >= before then
        return false;
    end if;
    first_of_day := run_id_floor(counting::timestamp at time zone 'UTC');
    first_of_next := run_id_floor((counting + 1)::timestamp at time zone 'UTC');
    if counted is null and exists (select from run where id < first_of_next) then
        return false;
    end if;
    for partition in
        select relname
          from pg_inherits
          join pg_class on pg_class.oid = inhrelid
         where inhparent = 'run_history'::regclass and not inhdetachpending
           and starts_with(relname, 'run_history_' || to_char(counting, 'YYYY_MM_DD'))
    loop
        -- A run of that day that ends now, though none was live, waits for this, and then counts itself where the pieces are past it.
        execute format('lock table %I in share row exclusive mode', partition);
        if not exists (select from pg_trigger
                        where tgrelid = format('%I', partition)::regclass and tgname = 'run_history_count_late_run') then
            execute format('create trigger run_history_count_late_run after insert on %I for each row execute function count_late_run()',
                           partition);
        end if;
    end loop;
    -- Literals, so that only the day's partition is planned and locked.
    execute format('select id from run_history where id >= %L and id < %L and id > %L order by id offset %s limit 1',
                   first_of_day, first_of_next, coalesce(counted, '00000000-0000-0000-0000-000000000000'), size - 1) into last;
    execute tenant_rollup_insert_sql(format(
        '(select id, tenant_id, organization_id, dry_run, state, reason, out_of_sync, started_at, ended_at
            from run_history where id >= %L and id < %L and id > %L and id <= %L)',
        first_of_day, first_of_next, coalesce(counted, '00000000-0000-0000-0000-000000000000'), coalesce(last, first_of_next)));
    if last is null then
        update tenant_rollup_watermark set day = counting + 1, counted_to = null;
    else
        update tenant_rollup_watermark set day = counting, counted_to = last;
    end if;
    return true;
end
$$;

-- What an older server calls, which calls it again at once as long as there is anything to count.
create or replace function roll_up_next_day(before date) returns boolean language sql as $$
    select roll_up_next_chunk(before, 50000)
$$;

-- Reduces a day of the history, the partition `old`, to its failed runs, a piece at a time. Returns what was done: a `piece` of the day, the
-- whole `day`, or nothing, because another server is `busy` with it.
--
-- The failed runs are copied beside the day, which stays readable as a whole; then the copy takes its place, in one transaction. For that
-- moment, and for at most `patience`, run_history is locked; whoever reads it for longer makes this fail, and another call try again.
create function reduce_run_history_partition(old text, day date, size integer, patience text) returns text language plpgsql as $$
declare
    base text := 'run_history_' || to_char(day, 'YYYY_MM_DD');
    kept text := base || '_failed';
    first_of_day uuid := run_id_floor(day::timestamp at time zone 'UTC');
    first_of_next uuid := run_id_floor((day + 1)::timestamp at time zone 'UTC');
    columns text := (select string_agg(quote_ident(attname), ', ')
                       from pg_attribute
                      where attrelid = 'run_history'::regclass and attnum > 0 and not attisdropped and attgenerated = '');
    copied integer;
begin
    if not pg_try_advisory_xact_lock(hashtext('reduce_run_history_partition')) then
        return 'busy';
    end if;
    if to_regclass(format('%I', old)) is null then
        return 'day';
    end if;
    if not is_run_history_partition(old) and is_run_history_partition(kept) then
        -- Another server was faster, or died just before this.
        execute format('drop table %I', old);
        return 'day';
    end if;
    if to_regclass(format('%I', kept)) is null then
        execute format('create table %I (like run_history including all)', kept);
        -- So that it is attached without being read.
        execute format('alter table %I add constraint run_history_is_of_its_day check (id >= %L and id < %L)',
                       kept, first_of_day, first_of_next);
    end if;
    -- In the order of the ids: the copy itself tells how far it is.
    execute format('insert into %1$I (%2$s)
                    select %2$s from %3$I
                     where state = %4$L and id > coalesce((select id from %1$I order by id desc limit 1), %5$L)
                     order by id
                     limit %6$s', kept, columns, old, 'failed', '00000000-0000-0000-0000-000000000000', size);
    get diagnostics copied = row_count;
    if copied > 0 then
        return 'piece';
    end if;
    perform set_config('lock_timeout', patience, true);
    -- What ended on that day since its ids were passed. Such an end, of a run that is older than the whole history, now waits.
    execute format('lock table %I in share row exclusive mode', old);
    -- By the ids alone, which are in an index of either.
    execute format('insert into %1$I (%2$s)
                    select %2$s from %3$I
                     where id = any (array(select id from %3$I as old
                                            where state = %4$L and not exists (select from %1$I as kept where kept.id = old.id)
                                            limit %5$s))', kept, columns, old, 'failed', size);
    get diagnostics copied = row_count;
    if copied > 0 then
        return 'piece';
    end if;
    if is_run_history_partition(old) then
        execute format('alter table run_history detach partition %I', old);
    end if;
    execute format('drop table %I', old);
    -- Another table of that day may have to be reduced, too; then the copy waits for it.
    if not exists (select from pg_inherits
                     join pg_class on pg_class.oid = inhrelid
                    where inhparent = 'run_history'::regclass and starts_with(relname, base)) then
        perform configure_run_history_partition(kept, day);
        execute format('alter table run_history attach partition %I for values from (%L) to (%L)', kept, first_of_day, first_of_next);
    end if;
    return 'day';
end
$$;

-- Whether a table is part of the history.
create function is_run_history_partition(partition text) returns boolean language sql stable as $$
    select exists (select from pg_inherits
                    where inhparent = 'run_history'::regclass and inhrelid = to_regclass(format('%I', partition)))
$$;
