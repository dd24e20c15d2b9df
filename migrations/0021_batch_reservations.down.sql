alter table run drop column batch_override_reserved, drop column batch_primary_write_reserved;
