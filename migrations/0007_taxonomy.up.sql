-- Google's lists of categories, in versions, and mappings that differ by region.

-- Comes with PostgreSQL (Debian: in its own package of the server) and may be created by whoever may create in the database.
do $$
begin
    if not exists (select from pg_extension where extname = 'pg_trgm') then
        create extension pg_trgm;
    end if;
exception
    when insufficient_privilege then
        raise exception using errcode = 'insufficient_privilege', message = format(
            'the extension pg_trgm is missing, and role "%s" may not create it; have an administrator run '
            '"create extension pg_trgm" in database "%s"', current_user, current_database());
    when undefined_file or feature_not_supported then
        raise exception using errcode = 'feature_not_supported', message =
            'the extension pg_trgm is missing, and this PostgreSQL does not bring it along; install its additional modules '
            '(postgresql-contrib where they are a package of their own)';
end
$$;

-- A list that was imported and differed from the one before. Versions count from 1 for each region and language, and the highest one is
-- what Google's list is taken to be now. None is ever changed or deleted.
create table taxonomy_version (
    region_code text collate "C" not null,
    language_code text collate "C" not null,
    version integer not null constraint taxonomy_version_counts_from_one check (version > 0),
    category_count integer not null constraint taxonomy_version_is_not_empty check (category_count > 0),
    added integer not null,
    renamed integer not null,
    retired integer not null,
    -- Who imported it, and why although it had shrunk.
    caller text not null,
    allow_shrink_reason text not null,
    imported_at timestamptz not null,
    -- When Google's list was last found to be this one.
    checked_at timestamptz not null,
    -- Two imports at once want the same version, and one of them gets it.
    constraint taxonomy_version_is_imported_once primary key (region_code, language_code, version)
);

-- What a category was called, from one version on and until another. A version is the rows that span it.
create table taxonomy_category (
    region_code text collate "C" not null,
    language_code text collate "C" not null,
    gcid text collate "C" not null constraint taxonomy_category_gcid_is_canonical check (gcid ~ '^gcid:[a-z0-9_]+$'),
    display_name text not null,
    since_version integer not null,
    -- The first version that has it no more, or under another name. Null: it is on the list.
    until_version integer,
    primary key (region_code, language_code, gcid, since_version),
    constraint taxonomy_category_since_is_imported foreign key (region_code, language_code, since_version)
        references taxonomy_version (region_code, language_code, version),
    constraint taxonomy_category_ends_after_start check (until_version > since_version)
);

create unique index taxonomy_category_listed on taxonomy_category (region_code, language_code, gcid) where until_version is null;
create index taxonomy_category_by_name on taxonomy_category using gin (display_name gin_trgm_ops) where until_version is null;

-- Where a platform category stands for something else than `platform_category.gcid` says for all regions.
create table regional_mapping (
    slug text collate "C" not null references platform_category (slug) on delete cascade,
    region_code text collate "C" not null,
    -- Null: it stands for nothing there.
    gcid text collate "C" constraint regional_mapping_gcid_is_canonical check (gcid ~ '^gcid:[a-z0-9_]+$'),
    primary key (slug, region_code)
);
