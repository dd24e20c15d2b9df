use v1::{category_set_member::Role, change::Operation};

use super::*;

fn placed(gcid: &str, display_name: &str, role: Role) -> Option<v1::CategorySetMember> {
    let category = v1::GbpCategory { name: format!("categories/gcid:{gcid}"), display_name: display_name.into() };
    Some(v1::CategorySetMember { category: Some(category), role: role.into(), ..Default::default() })
}

fn change(
    operation: Operation,
    before: Option<v1::CategorySetMember>,
    after: Option<v1::CategorySetMember>,
) -> v1::Change {
    v1::Change { operation: operation.into(), before, after }
}

#[test]
fn a_plan_reads_as_lines() {
    let (primary, additional) = (Role::Primary, Role::Additional);
    let plan = Plan::from_wire(v1::Plan {
        changes: vec![
            change(
                Operation::Update,
                placed("restaurant", "Restaurant", primary),
                placed("italian_restaurant", "Italian restaurant", primary),
            ),
            change(Operation::Update, placed("cafe", "Café", additional), placed("cafe", "Café", primary)),
            change(Operation::Update, placed("a", "", additional), placed("b", "", primary)),
            change(Operation::Create, None, placed("bakery", "Bakery", additional)),
            change(Operation::Delete, placed("liquor_store", "Liquor store", additional), None),
        ],
        unmapped_categories: vec![v1::UnmappedCategory {
            platform_category: "platformCategories/cooking-classes".into(),
            display_name: "Cooking classes".into(),
        }],
        merged_categories: vec![v1::MergedCategory {
            platform_category: "platformCategories/bread".into(),
            gbp_category: "categories/gcid:bakery".into(),
        }],
        validation_errors: vec![v1::ValidationError {
            reason: "INVALID_CATEGORY".into(),
            message: "not here".into(),
            field: "categories".into(),
        }],
        ..Default::default()
    });
    let lines = "\
~ primary     gcid:restaurant (Restaurant) -> gcid:italian_restaurant (Italian restaurant)
~ additional  gcid:cafe (Café) -> primary
~ additional  gcid:a -> primary gcid:b
+ additional  gcid:bakery (Bakery)
- additional  gcid:liquor_store (Liquor store)
! unmapped    cooking-classes (Cooking classes): maps to no GBP category, left out
! objection   INVALID_CATEGORY: not here (field categories)
= merged      bread: maps to gcid:bakery, which is in the set already";
    assert_eq!(plan.to_string(), lines);
}

#[test]
fn an_empty_plan_says_so() {
    assert_eq!(Plan::from_wire(v1::Plan::default()).to_string(), "= in sync     nothing to change");
}

#[test]
fn what_google_says_of_the_location_is_a_line_of_the_plan() {
    use v1::LocationIssue::{Closed, Duplicate, NoVoiceOfMerchant};
    let location_issues = [Closed, Duplicate, NoVoiceOfMerchant].map(i32::from).into_iter().chain([9]).collect();
    let plan = Plan::from_wire(v1::Plan { location_issues, hash: "00ff".into(), ..Default::default() });
    let lines = "\
= in sync     nothing to change
! location    location_closed: Google reports it as permanently closed, so a real run writes nothing to it
! location    duplicate_location: Google considers it a duplicate of another location and does not publish edits of it
! location    no_voice_of_merchant: Google does not publish edits of it until the merchant has a voice
! location    unknown_9: Google may not publish edits of it";
    assert_eq!(plan.to_string(), lines);
    let markdown = plan.to_markdown();
    assert!(markdown.contains("- location: location\\_closed: Google reports it as permanently closed"), "{markdown}");
}

#[test]
fn names_cannot_write_lines_or_steer_the_terminal() {
    let evil = "x\n- primary\u{1b}[2J\u{202e}";
    let create = change(Operation::Create, None, placed(evil, evil, Role::Additional));
    let plan = Plan::from_wire(v1::Plan { changes: vec![create], ..Default::default() });
    let text = plan.to_string();
    assert_eq!(text.lines().count(), 1);
    assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
}

#[test]
fn what_a_newer_server_says_is_shown_and_kept() {
    let wire = v1::Change { operation: 9, before: None, after: None };
    let change = Change::from_wire(wire);
    assert_eq!(change.operation, crate::Operation::Unknown(9));
    assert_eq!(change.to_string(), "? (nothing)");
}

fn guard(rule: &str, outcome: v1::guard_verdict::Outcome) -> v1::GuardVerdict {
    v1::GuardVerdict { rule: rule.into(), value: 1, limit: 0, outcome: outcome.into() }
}

#[test]
fn guards_that_do_not_pass_are_lines_of_the_plan() {
    use v1::guard_verdict::Outcome::{Overridden, Passed, Stopped};
    let guard_verdicts =
        vec![guard("primary_change", Stopped), guard("removals", Passed), guard("removed_share", Overridden)];
    let plan = Plan::from_wire(v1::Plan { guard_verdicts, ..Default::default() });
    assert!(plan.is_stopped());
    let lines = "\
= in sync     nothing to change
x guard       primary_change: 1, at most 0 would pass: stopped
! guard       removed_share: 1, at most 0 would pass: overridden";
    assert_eq!(plan.to_string(), lines);
}

#[test]
fn a_platform_category_is_shown_by_its_slug() {
    let platform = |name: &str| v1::CategorySetMember {
        category: placed("bakery", "", Role::Additional).and_then(|placed| placed.category),
        role: Role::Additional.into(),
        platform_category: "platformCategories/gbp-bakery".into(),
        platform_display_name: name.into(),
        imported: true,
    };
    let rename = change(Operation::Update, Some(platform("Bakery")), Some(platform("Baker")));
    let plan = Plan::from_wire(v1::Plan { changes: vec![rename], ..Default::default() });
    let line = "~ additional  gbp-bakery (Bakery), imported -> gbp-bakery (Baker), imported";
    assert_eq!(plan.to_string(), line);
}

#[test]
fn a_plan_is_markdown_for_a_ticket_whatever_names_hold() {
    let evil = "a|b\n# c <script> [x](http://y) `z`";
    let plan = Plan::from_wire(v1::Plan {
        changes: vec![
            change(Operation::Create, None, placed("bakery", evil, Role::Additional)),
            change(Operation::Delete, placed("wine_bar", "Wine bar", Role::Additional), None),
        ],
        guard_verdicts: vec![guard("removals", v1::guard_verdict::Outcome::Stopped)],
        hash: "00ff".into(),
        ..Default::default()
    });
    let markdown = plan.to_markdown();
    let expected = r"| change | before | after |
|---|---|---|
| gains |  | additional gcid:bakery (`` a\|b\n# c <script> [x](http://y) `z` ``) |
| **loses** | additional gcid:wine\_bar (Wine bar) |  |

| guard | value | limit | verdict |
|---|--:|--:|---|
| removals | 1 | 0 | **stopped** |

Plan `00ff`";
    assert_eq!(markdown, expected);
}

/// Renderers create links from addresses everywhere except in code, even after escapes and entities.
#[test]
fn a_plan_in_markdown_links_to_nothing() {
    for (name, shown) in [
        ("www.evil.example", "`www.evil.example`"),
        ("Visit evil.example", "`Visit evil.example`"),
        ("https://evil", "`https://evil`"),
        ("mail a@b.example", "`mail a@b.example`"),
        ("@everybody", "`@everybody`"),
        ("fixes #1", "`fixes #1`"),
        ("``` a@b ```", "```` ``` a@b ``` ````"),
        ("a@b|c", "`a@b\\|c`"),
        ("[Caf\u{e9}](x) No. 1 *", "\\[Caf\u{e9}\\]\\(x\\) No. 1 \\*"),
        ("<b>", "&lt;b\\>"),
    ] {
        let create = change(Operation::Create, None, placed("bakery", name, Role::Additional));
        let markdown = Plan::from_wire(v1::Plan { changes: vec![create], ..Default::default() }).to_markdown();
        let row = format!("| gains |  | additional gcid:bakery ({shown}) |");
        assert!(markdown.contains(&row), "{name}: {markdown}");
    }
}

#[cfg(feature = "serde")]
#[test]
fn a_plan_is_one_line_of_json() {
    let plan = Plan::from_wire(v1::Plan { hash: "00ff".into(), ..Default::default() });
    let json: serde_json::Value = serde_json::from_str(&plan.to_json()).expect("JSON");
    assert_eq!((json["hash"].as_str(), json["changes"].as_array().map(Vec::len)), (Some("00ff"), Some(0)));
}
