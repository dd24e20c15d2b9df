drop index batch_live_by_caller;
drop index batch_expansion_by_caller;
drop index batch_expansion_by_fairness_rank;
alter table batch_expansion drop column fairness_rank, drop column cancelling, drop column caller;
