drop table tenant;
