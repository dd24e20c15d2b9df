//! Flags: a list loses no name without a word, and a switch-off is one call.

use category_mirror_proto::v1;

use super::{mirrorctl, text};
use crate::fake::Fake;

#[tokio::test]
async fn a_flag_is_switched_off_in_one_line_and_its_lists_are_given_with_commas() {
    let fake = Fake::start().await;
    let update = &fake.methods.update_flag;
    for _ in 0..2 {
        update.will(Ok(v1::UpdateFlagResponse { flag: Some(pilot()) }));
    }
    let empty = v1::Flag { name: "flags/FF_X".into(), ..Default::default() };
    fake.methods.get_flag.will(Ok(v1::GetFlagResponse { flag: Some(empty) }));
    for arguments in [
        &["flag", "update", "FF_X", "--state", "off", "--reason", "too many complaints"][..],
        &["flag", "update", "FF_X", "--percent", "12.5", "--tenants", "a, b,c", "--organizations", ""],
    ] {
        let output = mirrorctl(&fake, arguments).await;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
    let asked = update.asked();
    let paths = |n: usize| asked[n].message.update_mask.as_ref().expect("a mask").paths.clone();
    assert_eq!(
        (paths(0), paths(1)),
        (vec!["state".to_owned()], vec!["percent".into(), "tenants".into(), "organizations".into()])
    );
    assert_eq!(asked[0].message.reason, "too many complaints");
    let flag = asked[1].message.flag.as_ref().expect("a flag");
    assert_eq!((flag.tenants.join(" "), flag.organizations.len()), ("tenants/a tenants/b tenants/c".to_owned(), 0));
    assert_eq!(fake.methods.get_flag.asked().len(), 1, "a switch-off is one call");
}

/// A flag with a pilot, changed for the seventh time.
fn pilot() -> v1::Flag {
    let tenants = ["a", "b", "c"].map(|id| format!("tenants/{id}")).to_vec();
    let excluded_organizations = vec!["organizations/rival".to_owned()];
    v1::Flag { name: "flags/FF_X".into(), revision: 7, tenants, excluded_organizations, ..Default::default() }
}

#[tokio::test]
async fn a_list_loses_no_name_without_a_word() {
    let fake = Fake::start().await;
    let update = &fake.methods.update_flag;
    let run = async |arguments: &[&str]| {
        fake.methods.get_flag.will(Ok(v1::GetFlagResponse { flag: Some(pilot()) }));
        update.will(Ok(v1::UpdateFlagResponse { flag: Some(pilot()) }));
        mirrorctl(&fake, &[&["flag", "update", "FF_X"], arguments].concat()).await
    };
    // Refused, with every name that would go, and nothing is sent.
    let output = run(&["--tenants", "a,d", "--excluded-organizations", ""]).await;
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
    for part in [
        "--tenants would remove tenants/b, tenants/c",
        "--excluded-organizations would remove organizations/rival",
        "--replace",
    ] {
        assert!(text(&output.stderr).contains(part), "{part}: {}", text(&output.stderr));
    }
    let output = run(&["--remove-tenants", "x"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("tenants/x is not listed"), "{}", text(&output.stderr));
    assert_eq!(run(&["--tenants", "a", "--add-tenants", "b"]).await.status.code(), Some(2), "one or the other");
    let output = run(&["--add-tenants", "d", "--expected-revision", "6"]).await;
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert_eq!(update.asked().len(), 0);

    for (arguments, tenants) in [
        (&["--add-tenants", "d,e", "--add-tenants", "tenants/a"][..], "a b c d e"),
        (&["--remove-tenants", "b", "--add-tenants", "f", "--allow-unknown"], "a c f"),
        (&["--tenants", "a,b,c,g"], "a b c g"),
        (&["--tenants", "a,d", "--replace"], "a d"),
    ] {
        let output = run(arguments).await;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let asked = update.asked();
        let sent = &asked.last().expect("sent").message;
        let names: Vec<String> = tenants.split(' ').map(|id| format!("tenants/{id}")).collect();
        assert_eq!(sent.flag.as_ref().expect("a flag").tenants, names);
        assert_eq!(sent.update_mask.as_ref().expect("a mask").paths, ["tenants"], "no other list is sent");
        assert_eq!(sent.expected_revision, Some(7), "what was read, or nothing");
        assert_eq!(sent.allow_unknown, arguments.contains(&"--allow-unknown"));
        let removes: Vec<&str> = text(&output.stdout).lines().filter(|line| line.starts_with("removes")).collect();
        let expected: &[&str] = if arguments.contains(&"--replace") {
            &["removes       tenants/b", "removes       tenants/c"]
        } else {
            &[]
        };
        assert_eq!(removes, expected);
    }
}
