-- Tenants: the stores, each with at most one Google Business Profile location.

create table tenant (
    id text collate "C" primary key,
    display_name text not null,
    organization_id text,
    gbp_account text,
    -- Two tenants that mirror to one location would overwrite each other indefinitely.
    gbp_location text constraint tenant_location_is_unique unique,
    -- The taxonomy that applies to the tenant, and the region of its mappings.
    region_code text not null,
    language_code text not null,
    categories_updated_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint tenant_location_has_an_account check ((gbp_account is null) = (gbp_location is null))
);

create index tenant_by_organization on tenant (organization_id, id) where organization_id is not null;
