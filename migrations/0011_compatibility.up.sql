-- The servers that work with this schema. During a rollout, servers of the version before it keep
-- running, and may restart.
create table schema_compatibility (
    only_row boolean not null default true constraint schema_compatibility_has_one_row primary key
        constraint schema_compatibility_row_is_the_only_one check (only_row),
    -- The newest migration that the oldest of these servers knows. A migration that older servers
    -- cannot work with raises it to its own number; any other migration leaves it alone.
    oldest_server bigint not null
);
insert into schema_compatibility (oldest_server) values (11);
