-- Which claim a running run was claimed by: a server that had no answer to its claim returns what it may have claimed, instead of leaving
-- it to the end of its lease.
alter table run add column claim_id uuid;
comment on column run.claim_id is 'The claim that the run was last claimed by; null where it was returned, or claimed by an older version.';
