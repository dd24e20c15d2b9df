drop trigger run_is_counted_by_its_batch on run;
drop trigger skipped_run_is_counted_by_its_batch on run;
drop function batch_counts_ends();
drop index run_by_batch;
alter table run
    drop column let_through,
    drop column batch_id;
drop table batch_work;
drop table batch;
