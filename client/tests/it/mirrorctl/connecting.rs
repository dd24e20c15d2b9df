//! How the tool connects: certificates, traces, metadata, and files that others can read.

use std::fs;

use category_mirror_proto::v1::{self, run::State};

use super::{mirrorctl, text};
use crate::fake::{Fake, run};

#[tokio::test]
async fn a_trace_and_metadata_go_with_the_calls() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let fake = Fake::start().await;
    fake.methods.get_run.will(Ok(v1::GetRunResponse { run: Some(run("1", 1, State::Queued)) }));
    let output = mirrorctl(&fake, &["run", "get", "1", "--traceparent", TRACE, "--metadata", "x-tag=a=b"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let asked = fake.methods.get_run.asked();
    assert_eq!((asked[0].traceparent.as_deref(), asked[0].tag.as_deref()), (Some(TRACE), Some("a=b")));
}

#[tokio::test]
async fn what_cannot_be_used_to_connect_is_a_usage_error_that_names_it() {
    let fake = Fake::start().await;
    let folder = std::env::temp_dir().join(format!("mirrorctl-connecting-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let garbage = folder.join("garbage.pem");
    fs::write(&garbage, "hush").expect("written");
    let garbage = garbage.to_str().expect("text");
    for (arguments, named) in [
        (&["--traceparent", "made up"][..], "traceparent"),
        (&["--metadata", "x"], "name=value"),
        (&["--metadata", "authorization=hush"], "authorization"),
        (&["--client-cert-file", garbage], "--client-key-file is required"),
        (&["--client-key-file", garbage], "--client-cert-file is required"),
        (&["--client-cert-file", "/nonexistent.pem", "--client-key-file", garbage], "/nonexistent.pem"),
        (&["--client-cert-file", garbage, "--client-key-file", "/nonexistent.key"], "/nonexistent.key"),
        (&["--client-cert-file", garbage, "--client-key-file", garbage], "--client-cert-file: requires an https://"),
        (&["--endpoint", "https://mirror.example/?token=hush"], "scheme, host and port"),
        (&["--endpoint", "ftp://mirror.example?token=hush"], "must begin with https://"),
        (&["--endpoint", "https://me:hush@mirror.example"], "user or a password"),
    ] {
        let output = mirrorctl(&fake, &[&["run", "get", "1"], arguments].concat()).await;
        let shown = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {shown}");
        assert!(shown.contains(named) && !shown.contains("hush"), "{arguments:?}: {shown}");
    }
    fs::remove_dir_all(&folder).expect("removed");
    assert!(fake.methods.get_run.asked().is_empty());
}

#[cfg(unix)]
#[tokio::test]
async fn a_token_file_that_others_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;

    let fake = Fake::start().await;
    let file = std::env::temp_dir().join(format!("mirrorctl-token-{}", std::process::id()));
    fs::write(&file, "s3cret\n").expect("written");
    for (mode, warned) in [(0o600, false), (0o644, true), (0o400, false)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("a mode");
        fake.methods.get_run.will(Ok(v1::GetRunResponse { run: Some(run("1", 1, State::Queued)) }));
        let output = mirrorctl(&fake, &["run", "get", "1", "--token-file", file.to_str().expect("text")]).await;
        let shown = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{shown}");
        assert_eq!(shown.contains("other users of this machine can read it"), warned, "{mode:o}: {shown}");
    }
    fs::remove_file(&file).expect("removed");
    assert!(fake.methods.get_run.asked().iter().all(|one| one.authorization.as_deref() == Some("Bearer s3cret")));
}
