drop trigger delete_last_success on tenant;
drop function delete_last_success();
drop table last_success;
drop view all_runs;
drop table run_history;
drop function reject_terminal_update();
