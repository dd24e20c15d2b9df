//! One or two examples in each help text. A test executes all of them.

/// Each command with its examples, without `mirrorctl`.
const EXAMPLES: [(&str, &[&str]); 52] = [
    (
        "run create",
        &[
            "run create store-1 --strategy platform_to_gbp --dry-run --wait",
            "run create store-1 --strategy platform_to_gbp --plan 5b1c09e2 --override-guard primary_change --reason 'ticket 7'",
        ],
    ),
    ("run get", &["run get 5b1c09e2"]),
    ("run last", &["run last store-1 platform_to_gbp"]),
    ("run cancel", &["run cancel 5b1c09e2"]),
    ("run revert", &["run revert 5b1c09e2 --dry-run --wait"]),
    (
        "run list",
        &["run list --state failed --dry-run false --since 24h", "run list --batch 7d20aa41 --reason GUARD -n 100"],
    ),
    ("run stats", &["run stats --organization acme --window 7days"]),
    ("run watch", &["run watch 5b1c09e2", "run watch --organization acme"]),
    ("plan get", &["plan get 5b1c09e2", "plan get 5b1c09e2 --output markdown"]),
    (
        "batch create",
        &[
            "batch create --strategy platform_to_gbp --organization acme --dry-run --wait",
            "batch create --strategy platform_to_gbp --all-tenants --confirm-tenant-count 1204",
        ],
    ),
    ("batch list", &["batch list -n 5"]),
    ("batch get", &["batch get 7d20aa41"]),
    ("batch watch", &["batch watch 7d20aa41"]),
    ("batch cancel", &["batch cancel 7d20aa41"]),
    ("tenant list", &["tenant list --organization acme", "tenant list --output json > tenants.jsonl"]),
    ("tenant get", &["tenant get store-1"]),
    ("tenant create", &["tenant create store-1 --display-name 'Corner store' --region-code US --language-code en"]),
    ("tenant update", &["tenant update store-1 --gbp-account 1001 --gbp-location 2001"]),
    ("tenant delete", &["tenant delete store-1 --yes"]),
    (
        "tenant import",
        &[
            "tenant import --file tenants.csv --validate-only",
            "tenant list --output json | mirrorctl tenant import --file -",
        ],
    ),
    ("tenant get-categories", &["tenant get-categories store-1"]),
    ("tenant set-categories", &["tenant set-categories store-1 --primary bakery --additional cafe,deli"]),
    ("sync get", &["sync get store-1"]),
    (
        "sync list",
        &["sync list --out-of-sync --organization acme", "sync list --cause merchant_edited --cause google_edited"],
    ),
    ("sync decide", &["sync decide store-1 push_again --reason 'we are a café' --wait"]),
    ("platform-category list", &["platform-category list --unmapped"]),
    ("platform-category get", &["platform-category get bakery"]),
    (
        "platform-category create",
        &[
            "platform-category create bakery --display-name Bakery --gbp-category gcid:bakery --regional-gbp-category IN=gcid:cake_shop",
        ],
    ),
    ("platform-category update", &["platform-category update bakery --gbp-category gcid:bakery"]),
    ("platform-category delete", &["platform-category delete bakery --yes"]),
    ("platform-category import", &["platform-category import --file categories.jsonl --validate-only"]),
    ("taxonomy refresh", &["taxonomy refresh US en --timeout 60s"]),
    ("taxonomy list", &["taxonomy list --region-code US"]),
    ("taxonomy search", &["taxonomy search US en 'grocery store'"]),
    ("taxonomy suggest", &["taxonomy suggest US en"]),
    ("flag list", &["flag list"]),
    ("flag get", &["flag get FF_CATEGORY_MIRRORING"]),
    (
        "flag update",
        &[
            "flag update FF_CATEGORY_MIRRORING --state partial --percent 25 --add-tenants store-1,store-2 --reason 'pilot went well'",
            "flag update FF_TENANT_GBP_CATEGORY_SYNC --state off --reason 'kill switch'",
        ],
    ),
    ("flag evaluate", &["flag evaluate FF_CATEGORY_MIRRORING store-1"]),
    ("flag history", &["flag history FF_CATEGORY_MIRRORING"]),
    ("credentials list", &["credentials list"]),
    ("credentials get", &["credentials get 1001"]),
    (
        "credentials set",
        &[
            "credentials set 1001 --file adc.json && mirrorctl credentials verify 1001",
            "credentials set 1001 --file - < adc.json",
        ],
    ),
    ("credentials verify", &["credentials verify 1001"]),
    ("credentials delete", &["credentials delete 1001 --yes"]),
    ("credentials reencrypt", &["credentials reencrypt"]),
    ("context list", &["context list"]),
    ("context use", &["context use production"]),
    ("context set", &["context set production --endpoint https://mirror.example.com --token-file production.token"]),
    ("version", &["version", "version --output json"]),
    ("completions", &["completions bash > mirrorctl.bash"]),
    ("man", &["man --directory man1"]),
];

/// Maximum length of a line of an example, so that a terminal of 80 columns does not wrap it with its indentation.
const MAX_LINE_CHARS: usize = 70;

/// Adds the examples to a command and to all commands below it.
pub(crate) fn added(command: clap::Command) -> clap::Command {
    added_below(command, "")
}

fn added_below(command: clap::Command, way: &str) -> clap::Command {
    let examples = EXAMPLES.iter().find(|(known, _)| *known == way).map(|(_, lines)| *lines);
    let command = match examples {
        Some(lines) => {
            let before = command.get_after_help().map(|text| format!("{text}\n\n")).unwrap_or_default();
            let lines: Vec<String> = lines.iter().map(|line| folded(&format!("mirrorctl {line}"))).collect();
            command.after_help(format!("{before}Examples:\n{}", lines.join("\n")))
        }
        None => command,
    };
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| {
        let way = if way.is_empty() { name.clone() } else { format!("{way} {name}") };
        command.mut_subcommand(&name, |below| added_below(below, &way))
    })
}

/// Folds a command line with `\` at the ends of its lines, because a line that the terminal wraps cannot be copied.
fn folded(line: &str) -> String {
    let mut lines = Vec::new();
    for (index, option) in line.split(" --").enumerate() {
        let option = if index == 0 { option.to_owned() } else { format!("--{option}") };
        match lines.last_mut() {
            Some(last) if String::len(last) + option.len() < MAX_LINE_CHARS => *last = format!("{last} {option}"),
            _ => lines.push(option),
        }
    }
    format!("  {}", lines.join(" \\\n      "))
}
