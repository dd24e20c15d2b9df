with schema as (
    -- Parameters: $1 the name of the schema.
    -- The schema, if it exists.
    select oid, nspowner from pg_namespace where nspname = $1
), history as (
    -- The partitioned table of ended runs, in every schema that has one.
    select relnamespace, relowner from pg_class where relname = 'run_history' and relkind = 'p'
), own as (
    -- The owner of the one in the schema.
    select relowner from history where relnamespace = (select oid from schema)
), extension as (
    -- The schema where pg_trgm is installed, if it is.
    select space.oid, space.nspname
      from pg_extension
      join pg_namespace space on space.oid = extnamespace
     where extname = 'pg_trgm'
)
select to_jsonb(fact) from (select current_setting('server_version') as version_text,
       current_user::text as role,
       current_database()::text as database,
       current_setting('server_encoding') as encoding,
       pg_is_in_recovery() as is_standby,
       current_setting('transaction_read_only')::boolean as is_read_only,
       current_setting('synchronous_commit') as synchronous_commit,
       current_setting('session_replication_role') as session_replication_role,
       exists (select from schema) as has_schema,
       coalesce((select has_schema_privilege(oid, 'usage') from schema), false) as may_use_schema,
       coalesce((select has_schema_privilege(oid, 'create') from schema), false) as may_create_in_schema,
       (select pg_get_userbyid(relowner)::text from own) as owner,
       coalesce((select pg_has_role(relowner, 'usage') from own), true) as may_act_as_owner,
       (select min(nspname::text) from history join pg_namespace on pg_namespace.oid = relnamespace
         where not exists (select from own)) as elsewhere,
       (select nspname::text from extension) as extension_schema,
       coalesce((select has_schema_privilege(oid, 'usage') from extension), true) as may_use_extension_schema,
       exists (select from pg_available_extensions where name = 'pg_trgm') as is_extension_available,
       has_database_privilege(current_database(), 'create') as may_create_extension) fact
