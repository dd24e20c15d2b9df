drop trigger run_history_record_decision_result on run_history;
drop function record_decision_result();
drop trigger propagate_tenant_to_sync on tenant;
drop function propagate_tenant_to_sync();
drop table tenant_sync;
