-- Which servers work with this schema. While a new version is rolled out, servers of the version before go on, and may start again.
create table schema_compatibility (
    only_row boolean not null default true
        constraint schema_compatibility_has_one_row primary key constraint schema_compatibility_row_is_the_only_one check (only_row),
    -- The newest migration that the oldest of these servers knows. A migration that older servers cannot work with raises it to its own
    -- number; one that they can leaves it alone.
    oldest_server bigint not null
);
insert into schema_compatibility (oldest_server) values (24);
