alter table run drop column let_through_overriding, drop column let_through_primary;
