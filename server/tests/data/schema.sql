-- The schema of a database, a line for each thing that a migration can create, with its whole definition.
-- Without what belongs to an extension, and without the records of the migrations themselves.
with relation as materialized (
    select oid, relname, relkind, relpersistence, relispartition, reloptions, reltoastrelid, relacl
      from pg_class
     where relnamespace = 'public'::regnamespace and relname not like '\_sqlx%'
       and not exists (select from pg_depend where classid = 'pg_class'::regclass and objid = pg_class.oid and deptype = 'e')
), routine as materialized (
    select oid, prokind, proacl
      from pg_proc
     where pronamespace = 'public'::regnamespace
       and not exists (select from pg_depend where classid = 'pg_proc'::regclass and objid = pg_proc.oid and deptype = 'e')
)
select format('extension %s', extname) from pg_extension where extname <> 'plpgsql'
 union all
select format('relation %s %s %s partition %s by %s bound %s options %s toast %s acl %s', relname, relkind, relpersistence, relispartition,
              pg_get_partkeydef(relation.oid), (select pg_get_expr(relpartbound, pg_class.oid) from pg_class where pg_class.oid = relation.oid),
              reloptions, (select toast.reloptions from pg_class as toast where toast.oid = relation.reltoastrelid), relacl)
  from relation
 union all
select format('column %s %s %s type %s collation %s default %s not null %s identity %s generated %s storage %s compression %s target %s options %s acl %s',
              relname, case when $1 then attnum end, attname, format_type(atttypid, atttypmod), collname, pg_get_expr(adbin, adrelid), attnotnull,
              attidentity, attgenerated, attstorage, attcompression, attstattarget, attoptions, attacl)
  from relation
  join pg_attribute on attrelid = relation.oid and attnum > 0 and not attisdropped
  left join pg_collation on pg_collation.oid = attcollation
  left join pg_attrdef on adrelid = relation.oid and adnum = attnum
 where relkind <> 'i'
 union all
select format('view %s %s', relname, pg_get_viewdef(oid)) from relation where relkind in ('v', 'm')
 union all
select format('sequence %s %s', relname, to_jsonb(pg_sequence) - 'seqrelid') from relation join pg_sequence on seqrelid = relation.oid
 union all
select format('constraint %s %s %s validated %s', conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated)
  from pg_constraint
 where connamespace = 'public'::regnamespace and conrelid::regclass::text not like '\_sqlx%'
 union all
select format('index %s valid %s', pg_get_indexdef(indexrelid), indisvalid) from pg_index join relation on relation.oid = indrelid
 union all
select format('routine %s acl %s', case when prokind = 'a' then oid::regprocedure::text else pg_get_functiondef(oid) end, proacl) from routine
 union all
select format('trigger %s enabled %s', pg_get_triggerdef(pg_trigger.oid), tgenabled)
  from pg_trigger
  join relation on relation.oid = tgrelid
 where not tgisinternal
 union all
select format('rule %s', pg_get_ruledef(pg_rewrite.oid)) from pg_rewrite join relation on relation.oid = ev_class where rulename <> '_RETURN'
 union all
select format('policy %s %s', polrelid::regclass, polname) from pg_policy
 union all
select format('statistics %s', pg_get_statisticsobjdef(oid)) from pg_statistic_ext
 union all
select format('type %s %s %s', typname, typtype, typcategory)
  from pg_type
 where typnamespace = 'public'::regnamespace and typname !~ '^__?sqlx'
   and not exists (select from pg_depend where classid = 'pg_type'::regclass and objid = pg_type.oid and deptype = 'e')
 union all
select format('comment %s %s', pg_describe_object(classoid, objoid, objsubid), description)
  from pg_description
  join (select 'pg_class'::regclass, oid from relation union all select 'pg_proc'::regclass, oid from routine) as described (class, oid)
    on class = classoid and described.oid = objoid
 union all
select format('rows %s %s', relname, query_to_xml(format('select * from %I', relname), false, true, '')) from relation where relkind = 'r'
 order by 1
