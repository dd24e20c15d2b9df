use v1::{change::Operation, placed_category::Role};

use super::*;

fn placed(gcid: &str, display_name: &str, role: Role) -> Option<v1::PlacedCategory> {
    let category = v1::GbpCategory { name: format!("categories/gcid:{gcid}"), display_name: display_name.into() };
    Some(v1::PlacedCategory { category: Some(category), role: role.into() })
}

fn change(operation: Operation, before: Option<v1::PlacedCategory>, after: Option<v1::PlacedCategory>) -> v1::Change {
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
        objections: vec![v1::Objection {
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
! unmapped    cooking-classes (Cooking classes): maps to no GBP category, not sent
! objection   INVALID_CATEGORY: not here (field categories)
= merged      bread: maps to gcid:bakery, which is in the set already";
    assert_eq!(plan.to_string(), lines);
}

#[test]
fn an_empty_plan_says_so() {
    assert_eq!(Plan::from_wire(v1::Plan::default()).to_string(), "= in sync     nothing to change");
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
