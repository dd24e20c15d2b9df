-- The caller's trace (W3C `traceparent`), so that an attempt, on whatever server, goes on with it.
alter table run
    add column traceparent text constraint run_traceparent_is_valid check (traceparent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$');
