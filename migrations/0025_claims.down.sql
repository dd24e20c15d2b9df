alter table run drop column claim_id;
