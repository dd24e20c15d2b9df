drop table gbp_credentials;
drop sequence gbp_credentials_revision;
