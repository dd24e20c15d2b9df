-- The record of a run over all of its attempts: what was observed before a write, whose location a success was about, and writes whose
-- outcome stays unknown.

alter table run
    -- What an attempt had observed of both sides when it set out to write, so that a later attempt can record what it would have recorded.
    add column observation jsonb;

-- A run that wrote has neither been skipped nor cancelled, and one that does not know what became of its write has failed. Earlier versions
-- did not keep to that, and what they recorded stays as it is: so rows that are there are not checked, nor read.
alter table run_history
    add constraint run_history_written_has_effect check (written = '[]' or state in ('succeeded', 'failed')) not valid,
    add constraint run_history_unknown_write_failed check (write_intent is null or state = 'failed') not valid;

-- The location that the run succeeded for. A tenant that moves, or is deleted and created again, has had no success at its new place.
alter table last_success add column gbp_location text;
update last_success set gbp_location = tenant.gbp_location from tenant where tenant.id = last_success.tenant_id;

create function delete_last_success() returns trigger language plpgsql as $$
begin
    delete from last_success where tenant_id = old.id;
    return null;
end
$$;

create trigger delete_last_success after delete on tenant for each row execute function delete_last_success();

-- The last write to Google whose outcome is unknown, {set, run, at}, until a run observes the location.
alter table tenant_sync add column unresolved jsonb;
