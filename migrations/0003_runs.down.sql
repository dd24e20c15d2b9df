drop table idempotency_key;
drop function append_attempt(jsonb, integer, timestamptz, timestamptz, text, jsonb);
drop function next_interactive_rank(text);
drop function last_ready_rank(text, boolean);
drop function first_ready_rank(boolean);
drop table run;
drop function run_id_time(uuid);
drop function run_id_floor(timestamptz);
drop function run_id_at(timestamptz, bigint);
