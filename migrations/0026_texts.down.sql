-- Names stay in normalization form C: they are the same names.
alter table run drop column tracestate;
