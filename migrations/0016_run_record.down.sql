alter table tenant_sync drop column unresolved;
drop trigger delete_last_success on tenant;
drop function delete_last_success();
alter table last_success drop column gbp_location;
alter table run_history
    drop constraint run_history_unknown_write_failed,
    drop constraint run_history_written_has_effect;
alter table run drop column observation;
