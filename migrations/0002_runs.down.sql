drop table idempotency_key;
drop table run;
drop function reject_terminal_update();
