-- A tenant's dry runs, which are few among its runs, over all days. Apart from the sums of weeks: while this is built, no run can end.
set local statement_timeout = 0;

create index run_history_by_tenant_dry on run_history (tenant_id, id) where dry_run;
