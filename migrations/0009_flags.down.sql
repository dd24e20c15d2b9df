drop table flag_change;
drop table flag;
