drop trigger run_history_count_batch on run_history;
drop function count_ended_batch_runs();
drop function stopping_rules(jsonb);
drop table batch_tenant_page;
drop table batch_expansion;
drop table batch;
