drop function reduce_run_history_partition(text, date, integer, text);
drop function is_run_history_partition(text);
-- A day that is half counted is counted from its begin.
delete from tenant_rollup where accepted_on >= (select day from tenant_rollup_watermark);
do $$
declare
    partition text;
begin
    for partition in
        select relname
          from pg_inherits
          join pg_class on pg_class.oid = inhrelid
          join tenant_rollup_watermark on starts_with(relname, 'run_history_' || to_char(day, 'YYYY_MM_DD'))
         where inhparent = 'run_history'::regclass
    loop
        execute format('drop trigger if exists run_history_count_late_run on %I', partition);
    end loop;
end
$$;
drop function roll_up_next_chunk(date, integer);

create or replace function count_late_run() returns trigger language plpgsql as $$
begin
    execute tenant_rollup_insert_sql('(select ($1).*)') using new;
    return null;
end
$$;

create or replace function configure_run_history_partition(partition text, day date) returns void language plpgsql as $$
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

create or replace function roll_up_next_day(before date) returns boolean language plpgsql as $$
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

create or replace function add_counts(one jsonb, other jsonb) returns jsonb language sql immutable parallel safe as $$
    select coalesce(jsonb_object_agg(key, count), '{}')
      from (select key, sum(value::bigint) as count
              from (select * from jsonb_each_text(one) union all select * from jsonb_each_text(other)) as counts
             group by key) as sums
$$;

alter table tenant_rollup_watermark drop column counted_to;
