-- The catalog: the platform's categories with their mappings, the categories of each tenant, and
-- Google's taxonomy in versions.

-- Ships with PostgreSQL (on Debian in the server's package) and is trusted: any role with the right
-- to create in the database can create it.
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

create table platform_category (
    slug text collate "C" primary key,
    display_name text not null,
    -- The mapping for all regions; null: unmapped. The format is checked here too, because a second
    -- spelling would be a second category.
    gcid text constraint platform_category_gcid_is_canonical check (gcid ~ '^gcid:[a-z0-9_]+$'),
    -- The language and region of the name that Google gave the category, such as en-US. Null: the
    -- category is the platform's own.
    imported_locale text
        constraint platform_category_imported_is_mapped check (imported_locale is null or gcid is not null),
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create index platform_category_unmapped on platform_category (slug) where gcid is null;
-- From Google's category to the platform's.
create index platform_category_by_gcid on platform_category (gcid) where gcid is not null;

-- The mappings that differ in a region from `platform_category.gcid`.
create table regional_mapping (
    slug text collate "C" not null
        constraint regional_mapping_category_exists references platform_category (slug) on delete cascade,
    region_code text collate "C" not null,
    -- Null: the category is unmapped in this region.
    gcid text collate "C" constraint regional_mapping_gcid_is_canonical check (gcid ~ '^gcid:[a-z0-9_]+$'),
    primary key (slug, region_code)
);

-- A platform category with what it maps to in a region. A type, because the columns of a function
-- cannot have a collation.
create type category_in_region as (
    slug text collate "C",
    display_name text,
    gcid text,
    imported_locale text,
    created_at timestamptz,
    updated_at timestamptz
);

-- The platform categories with their effective mappings in a region; `gcid` is null if a category
-- is unmapped there.
--
-- The planner inlines this function, unless `region` is a subquery. If `region` is a column, it
-- cannot move a join with the categories into the function, and would read all of them. So for each
-- tenant category, use a lateral subquery with a condition on `slug` and `limit 1`.
create function categories_in_region(region text) returns setof category_in_region language sql stable parallel safe as $$
    select category.slug, category.display_name, case when own.slug is null then category.gcid else own.gcid end,
           category.imported_locale, category.created_at, category.updated_at
      from platform_category category
      left join regional_mapping own on own.slug = category.slug and own.region_code = region
$$;

create table tenant_category (
    tenant_id text collate "C" not null
        constraint tenant_category_tenant_exists references tenant (id) on delete cascade,
    -- 0 is the primary category.
    position smallint not null constraint tenant_category_position_is_not_negative check (position >= 0),
    slug text collate "C" not null constraint tenant_category_is_known references platform_category (slug),
    primary key (tenant_id, position),
    constraint tenant_category_once unique (tenant_id, slug)
);

-- The foreign key reads this when a platform category is deleted.
create index tenant_category_by_slug on tenant_category (slug);

-- An imported taxonomy that differed from the version before it. Versions count from 1 for each
-- region and language; the highest one is taken to be Google's list now. No version is ever changed
-- or deleted.
create table taxonomy_version (
    region_code text collate "C" not null,
    language_code text collate "C" not null,
    version integer not null constraint taxonomy_version_counts_from_one check (version > 0),
    category_count integer not null constraint taxonomy_version_is_not_empty check (category_count > 0),
    added integer not null,
    renamed integer not null,
    retired integer not null,
    -- The caller who imported it, and the reason why a list that had shrunk was accepted.
    caller text not null,
    allow_shrink_reason text not null,
    imported_at timestamptz not null,
    -- When Google's list was last found to equal this version.
    checked_at timestamptz not null,
    -- Of two concurrent imports that claim the same version, one fails.
    constraint taxonomy_version_is_imported_once primary key (region_code, language_code, version)
);

-- The name of a category from one version until another. A version consists of the rows that span
-- it.
create table taxonomy_category (
    region_code text collate "C" not null,
    language_code text collate "C" not null,
    gcid text collate "C" not null constraint taxonomy_category_gcid_is_canonical check (gcid ~ '^gcid:[a-z0-9_]+$'),
    display_name text not null,
    since_version integer not null,
    -- The first version that lacks the category, or has it under another name. Null: it is listed.
    until_version integer,
    primary key (region_code, language_code, gcid, since_version),
    constraint taxonomy_category_since_is_imported foreign key (region_code, language_code, since_version)
        references taxonomy_version (region_code, language_code, version),
    constraint taxonomy_category_ends_after_start check (until_version > since_version)
);

create unique index taxonomy_category_listed on taxonomy_category (region_code, language_code, gcid)
    where until_version is null;
-- For searches by a part of the name.
create index taxonomy_category_by_name on taxonomy_category using gin (display_name gin_trgm_ops)
    where until_version is null;
