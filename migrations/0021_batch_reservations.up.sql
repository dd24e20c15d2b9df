-- Which places of its batch a run has taken. An attempt that would do something else than the one before takes what that one did not need, so
-- that no batch changes more primary categories, or overrides guards for more runs, than was confirmed.

alter table run
    -- Its batch has let it through to another primary category.
    add column batch_primary_write_reserved boolean not null default false,
    -- Its batch has let it through although a guard of runs would have stopped it.
    add column batch_override_reserved boolean not null default false;

-- What these were let through to is not known: they have the places of every kind, as they had.
update run set batch_primary_write_reserved = true, batch_override_reserved = true where batch_write_reserved;
