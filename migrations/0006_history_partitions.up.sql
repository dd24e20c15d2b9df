-- The days of the run history: their partitions are created, counted for the tenants, and reduced
-- to their failed runs. The last two work in bounded pieces, one transaction each: so no statement
-- reaches its timeout, a server that dies loses one piece, and the history stays readable.

-- Whether a table is a partition of the history.
create function is_run_history_partition(partition text) returns boolean language sql stable as $$
    select exists (select from pg_inherits
                    where inhparent = 'run_history'::regclass and inhrelid = to_regclass(format('%I', partition)))
$$;

-- Counts a run for its tenant when it ends on a day that is counted already, or in the counted part
-- of a day. While a piece is being counted, such an end waits for it, and reads here how far it
-- came.
create function count_late_run() returns trigger language plpgsql as $$
begin
    if exists (select from tenant_rollup_watermark until
                where new.id < run_id_floor(until.day::timestamp at time zone 'UTC') or new.id <= until.counted_to) then
        execute tenant_rollup_insert_sql('(select ($1).id, ($1).tenant_id, ($1).organization_id, ($1).dry_run, ($1).state,
                                             ($1).reason, ($1).out_of_sync, ($1).started_at, ($1).ended_at)') using new;
    end if;
    return null;
end
$$;

-- Sets up what a partition does not copy from `run_history`.
create function configure_run_history_partition(partition text, day date) returns void language plpgsql as $$
begin
    -- Lists are planned once, for any values. With these statistics each value counts as rare,
    -- however few there are, so a list that names one goes by that value's index and not through
    -- all ids.
    execute format('alter table %I alter column tenant_id set (n_distinct = 10000),
                                   alter column organization_id set (n_distinct = 10000),
                                   alter column batch_id set (n_distinct = 10000), alter column caller set (n_distinct = 10000),
                                   alter column reason set (n_distinct = 10000)', partition);
    -- The day that is being counted is included: the trigger itself checks how far the counting is.
    if day <= (select until.day from tenant_rollup_watermark until) then
        execute format('create trigger run_history_count_late_run after insert on %I
                            for each row execute function count_late_run()', partition);
    end if;
end
$$;

-- Creates the partition of a day if there is none. Statements that read or end runs do not wait for
-- it.
create function ensure_run_history_partition(day date) returns void language plpgsql as $$
declare
    base text := 'run_history_' || to_char(day, 'YYYY_MM_DD');
    name text := base;
begin
    for check in 1..2 loop
        if exists (select from pg_inherits
                     join pg_class on pg_class.oid = inhrelid
                    where inhparent = 'run_history'::regclass and not inhdetachpending and starts_with(relname, base)) then
            return;
        end if;
        -- One transaction at a time, and then a second check: another one may just have created the
        -- partition, or counted the day.
        lock table only run_history in share update exclusive mode;
    end loop;
    -- A partition that was detached and is not dropped yet still has the name.
    if to_regclass(name) is not null then
        name := base || '_' || txid_current();
    end if;
    execute format('create table %I (like run_history including all)', name);
    perform configure_run_history_partition(name, day);
    execute format('alter table run_history attach partition %I for values from (%L) to (%L)', name,
                   run_id_floor(day::timestamp at time zone 'UTC'), run_id_floor((day + 1)::timestamp at time zone 'UTC'));
end
$$;

-- Counts for the tenants up to `size` more runs of the oldest day that is not counted, if the day
-- is before `before` and, at its first piece, has no live run. Returns whether there was anything
-- to count.
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
    -- In the meantime no partition is created or detached, and no other server counts.
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
        -- A run of this day can still end, although none was live. It waits for this transaction,
        -- and counts itself if its id is in the counted part.
        execute format('lock table %I in share row exclusive mode', partition);
        if not exists (select from pg_trigger
                        where tgrelid = format('%I', partition)::regclass and tgname = 'run_history_count_late_run') then
            execute format('create trigger run_history_count_late_run after insert on %I
                                for each row execute function count_late_run()', partition);
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

-- Reduces a day of the history, the table `old`, to its failed runs, one piece at a time. Returns
-- what is done: a `piece` of the day, the whole `day`, or nothing, because another server is `busy`
-- with it.
--
-- The failed runs are copied to a table beside the day, which stays readable as a whole. Then that
-- table replaces the day in one transaction. Only for that, and for at most `patience`, run_history
-- is locked: if a reader holds it for longer, the call fails and a later one tries again.
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
        -- With this constraint the table can be attached without being read.
        execute format('alter table %I add constraint run_history_is_of_its_day check (id >= %L and id < %L)',
                       kept, first_of_day, first_of_next);
    end if;
    -- In the order of ids, so that the copy itself shows how far it is.
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
    -- Runs of this day that ended after the copy had passed their ids. Further ends now wait: they
    -- are of runs that are older than the whole history.
    execute format('lock table %I in share row exclusive mode', old);
    -- By id alone, which is in an index of both tables.
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
    -- If another table of this day has to be reduced as well, the copy waits for it.
    if not exists (select from pg_inherits
                     join pg_class on pg_class.oid = inhrelid
                    where inhparent = 'run_history'::regclass and starts_with(relname, base)) then
        perform configure_run_history_partition(kept, day);
        execute format('alter table run_history attach partition %I for values from (%L) to (%L)',
                       kept, first_of_day, first_of_next);
    end if;
    return 'day';
end
$$;
