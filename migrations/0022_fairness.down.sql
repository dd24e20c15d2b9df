drop index batch_live_by_caller;
drop index batch_work_by_caller;
drop index batch_work_by_turn;
alter table batch_work drop column turn, drop column cancelling, drop column caller;
