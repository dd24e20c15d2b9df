//! No name that `docs/glossary.md` has replaced comes back.

use std::{collections::BTreeSet, fs, path::Path};

use crate::documentation::documents::{files_below, root};

/// Where names are, from the root of the repository. The change log is not among them: it may tell of what was.
const ROOTS: [&str; 7] = ["client", "deploy", "docs", "migrations", "proto", "README.md", "server"];
const EXTENSIONS: [&str; 8] = ["json", "md", "proto", "py", "rs", "sh", "sql", "yaml"];

/// Words that mean nothing any more, wherever they are.
const NAMES: &str = "
    BATCHES_PER_SUBJECT CREDENTIALS_KEY_FILE CategoryMirrorQueueAges DATABASE_CONNECTIONS
    GBP_REQUESTS_PER_MINUTE GUARD_FIRST_RUN_REMOVALS GUARD_PRIMARY_CHANGES GUARD_REMOVALS GUARD_REMOVED_PERCENT
    HISTORY_KEEP HISTORY_KEEP_FAILED MIRROR_CA_FILE MIRROR_ENDPOINT MIRROR_TOKEN MIRROR_TOKEN_FILE
    RESULT_HANDED_BACK RESULT_LOST RUNNER_GRACE RUNNER_MAX_ADDITIONAL STREAMS_PER_SUBJECT added_up ask_patiently
    attempts_with batch_counts_ends batch_work category_mirror_gbp_call_duration_seconds
    category_mirror_gbp_calls_total category_mirror_gbp_quota_left category_mirror_queue_age_seconds
    category_mirror_queue_runs category_mirror_rescued_total category_mirror_spans_lost_total
    category_mirror_streams category_mirror_tenants_out_of_sync change_limit changing_primary contested_at
    count_day digest_of duration_bin every_run expired_leases failed_by fence_no fold_rollups found_differences
    gbp_credentials_rejected half_digest hand_back handed_back_attempts is_flip is_googles_answer kept_plan
    lease_until let_through mirror_request moved_since not_admitted observed_by only_tenants out_of_primary
    primary_limit read_rest rejected_because rollup_begin run_history_day run_is_counted_by_its_batch
    run_is_over run_lane run_line run_waiting since_at take_place tallied_before tallies_added tally_sum
    tenant_rollup_count tenant_rollup_until tenant_sync_follows turn_at way_back work_on_batch";

/// Names of types that say nothing, or that are words for something else, by the folder where nothing may have them.
const TYPES: [(&str, &str); 7] = [
    (
        "server/src",
        "
        About Accounts Admission AsCaller AtGoogle BatchPlace BatchRule BatchVerdict Board Bounds BrokenList By
        Cause Choice Circuit Circumstances Claimed Contest Counterpart CredentialsMark Door Entrance Facts First
        Found Grid Ground Group Heard Hint Hints Horizon Hot InProcess Intent Interest Kept LastLook Learnt Left
        LogFilter Logs Look Looked Losses Mail Mailbox Mapped Merged Mirrored Moved News NobodyToMirror Now
        Orders OtherSide Overtaken Pace Part Piece Place Placed Places PlatformSide Population Promoted Reading
        Ready Reencrypted Refreshed Renewal RequestKey Room Said Sealed Settings Shelf Side Sieve Site Source
        Stage Standing Standings Streak StreamPlace Tally TaxonomySource Tools Unmapped Unopened Unread
        Unrecorded Vault VerdictSource Verified Waiting Wake Wanted WayBack Ways Why Wish Worked World WritesGbp
        WritesPlatform Chunk",
    ),
    ("server/src/store", "Held"),
    ("server/src/runner", "Held Answer Claim Claims Exit Names Refused"),
    ("server/src/spans", "Exit Share"),
    ("server/src/app", "Answer Names Refused Share"),
    ("server/crates/gbp/src", "Answer Names Share"),
    ("client/src", "Told Whose FlagSource FlagWhy MirrorMany Mirrored"),
];

/// Names of constants that do not say what they bound.
const CONSTANTS: &str = "
    AHEAD BATCH BINS BREATH COMPANY COUNTED FULL_WAIT KEPT LONGEST LOOKS MARGIN MAX_BESIDE PAGE PATIENCE PAUSE
    POLL PROMOTED QUIET RATE_LIMIT RECHECK RESERVE RETRY SILENCE START_PATIENCE USUAL_QUOTA";

/// All files with names in them, by their paths from the root.
fn files() -> Vec<(String, String)> {
    let root = root();
    let own = Path::new(file!()).file_name();
    let found = ROOTS.iter().flat_map(|start| files_below(&root.join(start), &EXTENSIONS));
    let others = found.filter(|path| path.file_name() != own);
    let named = others.map(|path| {
        let name = path.strip_prefix(&root).expect("below the root").display().to_string();
        (name, fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    });
    named.collect()
}

/// The words of a text, with the word before each.
fn words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    words.scan("", |last, word| Some((std::mem::replace(last, word), word)))
}

/// The other crates of the server are as the server is.
fn is_below(path: &str, folder: &str) -> bool {
    path.starts_with(folder) || (folder == "server/src" && path.starts_with("server/crates"))
}

#[test]
fn no_retired_name_comes_back() {
    let names: BTreeSet<&str> = NAMES.split_whitespace().collect();
    let constants: BTreeSet<&str> = CONSTANTS.split_whitespace().collect();
    let files = files();
    assert!(files.len() > 500, "{} files", files.len());
    let mut back = Vec::new();
    for (path, text) in &files {
        for (before, word) in words(&text.replace("\\n", " ")) {
            let is_type = matches!(before, "enum" | "struct" | "trait" | "type" | "union")
                && TYPES.iter().any(|(folder, types)| {
                    is_below(path, folder) && types.split_whitespace().any(|retired| retired == word)
                });
            let is_constant = matches!(before, "const" | "static") && constants.contains(word);
            if names.contains(word) || is_type || is_constant {
                back.push(format!("{path}: {word}"));
            }
        }
    }
    assert!(back.is_empty(), "see docs/glossary.md for the names that replace these: {back:#?}");
}
