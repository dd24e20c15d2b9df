-- Feature flags: a row for each that somebody has set, and every change that was made.

create table flag (
    name text collate "C" primary key,
    -- Off keeps the lists and the percentage: a flag that is switched on again is what it was.
    state text not null constraint flag_state_is_known check (state in ('off', 'on', 'partial')),
    -- In hundredths of a percent.
    rollout_basis_points integer not null constraint flag_rollout_basis_points_in_range check (rollout_basis_points between 0 and 10000),
    -- The pilot, and who is never in. Ids of tenants that do not exist yet, or no more, do no harm.
    tenants text[] not null,
    organizations text[] not null,
    excluded_tenants text[] not null,
    excluded_organizations text[] not null,
    revision bigint not null constraint flag_revision_is_positive check (revision > 0),
    updated_at timestamptz not null
);

-- What was changed is never changed again, and outlives everything it names.
create table flag_change (
    id bigint generated always as identity primary key,
    flag text collate "C" not null,
    revision bigint not null,
    -- Null: nobody had set the flag before.
    before jsonb,
    after jsonb not null,
    caller text not null,
    reason text not null,
    changed_at timestamptz not null
);

create index flag_change_by_flag on flag_change (flag, id);
