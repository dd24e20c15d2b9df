-- Platform categories, tenants, and which categories a tenant has.

create table platform_category (
    slug text collate "C" primary key,
    display_name text not null,
    -- Null is "unmapped". The format is checked here too: no path into the table may make a second spelling of one category.
    gcid text constraint platform_category_gcid_is_canonical check (gcid ~ '^gcid:[a-z0-9_]+$'),
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create index platform_category_unmapped on platform_category (slug) where gcid is null;

create table tenant (
    id text collate "C" primary key,
    display_name text not null,
    organization_id text,
    gbp_account text,
    -- Two tenants that mirror to one location would overwrite each other for ever.
    gbp_location text constraint tenant_location_is_unique unique,
    region_code text not null,
    language_code text not null,
    categories_updated_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint tenant_location_has_an_account check ((gbp_account is null) = (gbp_location is null))
);

create index tenant_by_organization on tenant (organization_id, id) where organization_id is not null;

create table tenant_category (
    tenant_id text collate "C" not null references tenant (id) on delete cascade,
    -- 0 is the primary category.
    position smallint not null check (position >= 0),
    slug text collate "C" not null constraint tenant_category_is_known references platform_category (slug),
    primary key (tenant_id, position),
    constraint tenant_category_once unique (tenant_id, slug)
);

-- Deleting a platform category asks who has it.
create index tenant_category_by_slug on tenant_category (slug);
