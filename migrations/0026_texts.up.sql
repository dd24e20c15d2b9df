-- Names in one form, and what tracing systems add to a caller's trace.
set local statement_timeout = 0;

-- Names are compared and found in normalization form C, in which servers keep them from here on. `updated_at` stays: nothing that a caller
-- could see has changed. A row of a version of Google's list, too, says what it said.
update platform_category set display_name = normalize(display_name) where display_name is not normalized;
update tenant set display_name = normalize(display_name) where display_name is not normalized;
update taxonomy_category set display_name = normalize(display_name) where display_name is not normalized;

-- W3C `tracestate`, beside the `traceparent` that it came with.
alter table run
    add column tracestate text constraint run_tracestate_is_bounded check (length(tracestate) <= 512);
