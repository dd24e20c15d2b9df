drop index run_history_by_tenant_dry;
