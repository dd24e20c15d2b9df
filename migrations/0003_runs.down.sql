drop table idempotency_key;
drop function append_attempt(jsonb, integer, timestamptz, timestamptz, text, jsonb);
drop table run;
drop function run_id_time(uuid);
drop function run_id_floor(timestamptz);
drop function run_id_at(timestamptz, bigint);
