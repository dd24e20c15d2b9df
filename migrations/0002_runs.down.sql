drop table mirror_request;
drop table run;
drop function run_is_over();
