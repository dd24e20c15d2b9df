-- Feature flags and the log of their changes.

-- One row for each flag that was ever set.
create table flag (
    name text collate "C" primary key,
    -- Switching a flag off keeps its lists and its percentage.
    state text not null constraint flag_state_is_known check (state in ('off', 'on', 'partial')),
    -- Hundredths of a percent.
    rollout_basis_points integer not null
        constraint flag_rollout_basis_points_in_range check (rollout_basis_points between 0 and 10000),
    -- The pilot, and those that are always excluded. Ids of tenants that do not exist have no
    -- effect.
    tenants text[] not null,
    organizations text[] not null,
    excluded_tenants text[] not null,
    excluded_organizations text[] not null,
    revision bigint not null constraint flag_revision_is_positive check (revision > 0),
    updated_at timestamptz not null
);

-- The log: rows are never changed, and outlive everything that they name.
create table flag_change (
    id bigint generated always as identity primary key,
    flag text collate "C" not null,
    revision bigint not null,
    -- Null: the flag had never been set.
    before jsonb,
    after jsonb not null,
    caller text not null,
    reason text not null,
    changed_at timestamptz not null
);

create index flag_change_by_flag on flag_change (flag, id);
