-- What a run was asked for beyond its strategy: a plan to apply, a run to take back, guards to lift. And categories that came from Google.

alter table run
    -- Null: nothing. One value, because most runs have none, and what is accepted most often shall not pay for more.
    add column orders jsonb,
    add constraint run_override_gives_a_reason check (orders is null or (orders ? 'override_guards') = (orders ? 'reason'));

alter table platform_category
    -- The language and region of the name that Google gave it, such as en-US. Null: it is the platform's own.
    add column imported_locale text
        constraint platform_category_imported_stands_for_something check (imported_locale is null or gcid is not null);

-- From Google's side to the platform's.
create index platform_category_by_gcid on platform_category (gcid) where gcid is not null;
