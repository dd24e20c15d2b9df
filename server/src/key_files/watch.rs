//! Re-reads key files when they change.
//!
//! Contents are compared, not times: they are few and small, and no change is missed, be it a replaced symbolic link
//! (Kubernetes), a file that was restored with an old time, or two changes within one clock tick. A change counts once
//! two polls have read the same contents, so that half a file, or a certificate whose key is still the old one, is not
//! used.

use std::{path::PathBuf, time::Duration};

use aws_lc_rs::digest::{self, SHA256};
use tokio::{
    sync::mpsc,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use super::{Contents, read};

/// Interval between polls. A new key is in use after two or three polls.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Applies new contents, one for each file, or returns why they cannot be used.
type Apply = Box<dyn FnMut(&[Contents]) -> Result<(), String> + Send>;

/// A digest of the contents of all files of a [`Watched`].
type Fingerprint = [u8; digest::SHA256_OUTPUT_LEN];

/// The key files of one setting, or of several that belong together, and the function that applies their contents.
pub struct Watched {
    settings: &'static str,
    paths: Vec<PathBuf>,
    /// Whether they are regular files. A pipe has been read to its end and does not change.
    is_regular: bool,
    apply: Apply,
    in_use: Fingerprint,
    last_seen: State,
    /// The state that was last reported, so that each invalid state is reported once.
    reported: Option<State>,
}

/// The result of a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Contents(Fingerprint),
    Unreadable(String),
}

impl Watched {
    /// Watches `paths`, whose `contents` were just read and are in use. `settings` are their names in logs.
    pub fn new(
        settings: &'static str,
        paths: Vec<PathBuf>,
        contents: &[Contents],
        apply: impl FnMut(&[Contents]) -> Result<(), String> + Send + 'static,
    ) -> Self {
        let in_use = fingerprint(contents);
        // A file that is missing at this moment is being replaced.
        let is_regular = paths.iter().all(|path| path.metadata().map_or(true, |metadata| metadata.is_file()));
        Self {
            settings,
            paths,
            is_regular,
            apply: Box::new(apply),
            in_use,
            last_seen: State::Contents(in_use),
            reported: None,
        }
    }

    /// Polls the files once. With `now`, it does not wait for a second poll with the same result, and reports an
    /// invalid state again.
    fn poll(&mut self, now: bool) {
        let mut contents = Vec::new();
        let read = self.paths.iter().try_for_each(|path| {
            contents.push(read(path).map_err(|error| format!("{}: {error}", path.display()))?);
            Ok(())
        });
        let state = match read {
            Ok(()) => State::Contents(fingerprint(&contents)),
            Err(error) => State::Unreadable(error),
        };
        let is_settled = now || state == self.last_seen;
        self.last_seen = state.clone();
        if state == State::Contents(self.in_use) {
            // Unchanged: an invalid state has been reverted.
            self.reported = None;
        } else if is_settled && (now || self.reported.as_ref() != Some(&state)) {
            self.change(state, &contents);
        }
    }

    fn change(&mut self, state: State, contents: &[Contents]) {
        let applied = match &state {
            State::Contents(_) => (self.apply)(contents),
            State::Unreadable(error) => Err(error.clone()),
        };
        let result = match applied {
            Ok(()) => {
                if let State::Contents(fingerprint) = state {
                    self.in_use = fingerprint;
                }
                self.reported = None;
                tracing::info!(setting = self.settings, "changed key file read");
                "loaded"
            }
            Err(error) => {
                tracing::error!(
                    setting = self.settings,
                    error,
                    "changed key file rejected; the previous key stays in use"
                );
                self.reported = Some(state);
                "rejected"
            }
        };
        metrics::counter!("category_mirror_key_reloads_total", "result" => result).increment(1);
    }
}

/// Keeps the values of key files current, until it is dropped. Each message of `reload` re-reads all of them
/// immediately.
pub async fn keep_current(mut files: Vec<Watched>, mut reload: mpsc::Receiver<()>) {
    files.retain(|watched| watched.is_regular);
    let mut polls = interval(POLL_INTERVAL);
    polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let now = tokio::select! {
            _ = polls.tick() => false,
            asked = reload.recv() => match asked {
                Some(()) => true,
                None => return,
            },
        };
        // A file may be on a file system that does not respond.
        let polled = spawn_blocking(move || {
            files.iter_mut().for_each(|watched| watched.poll(now));
            files
        });
        let Ok(polled) = polled.await else {
            tracing::error!("key files are no longer watched");
            return;
        };
        files = polled;
        let rejected = files.iter().filter(|watched| watched.reported.is_some()).count();
        metrics::gauge!("category_mirror_key_files_rejected").set(rejected as f64);
    }
}

fn fingerprint(contents: &[Contents]) -> Fingerprint {
    let mut context = digest::Context::new(&SHA256);
    for file in contents {
        // The lengths, so that bytes cannot move from one file to the next unnoticed.
        context.update(&(file.len() as u64).to_be_bytes());
        context.update(file);
    }
    let mut fingerprint = [0; digest::SHA256_OUTPUT_LEN];
    fingerprint.copy_from_slice(context.finish().as_ref());
    fingerprint
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        sync::{Arc, Mutex},
    };

    use super::*;

    /// Two files, whose contents are valid unless they begin with `bad`.
    struct Files {
        folder: tempfile::TempDir,
        watched: Watched,
        applied: Arc<Mutex<Vec<String>>>,
    }

    impl Files {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let paths: Vec<_> = ["a", "b"].map(|name| folder.path().join(name)).into();
            paths.iter().for_each(|path| fs::write(path, "first").expect("written"));
            let contents: Vec<_> = paths.iter().map(|path| read(path).expect("read")).collect();
            let applied = Arc::new(Mutex::new(Vec::new()));
            let log = Arc::clone(&applied);
            let watched = Watched::new("A, B", paths, &contents, move |contents| {
                let texts = contents.iter().map(|file| String::from_utf8_lossy(file).into_owned());
                let text = texts.collect::<Vec<_>>().join("+");
                log.lock().expect("not poisoned").push(text.clone());
                if text.contains("bad") { Err("bad".to_owned()) } else { Ok(()) }
            });
            Self { folder, watched, applied }
        }

        fn write(&self, name: &str, content: &str) {
            fs::write(self.folder.path().join(name), content).expect("written");
        }

        /// Returns the contents that a poll applied.
        fn poll(&mut self, now: bool) -> Vec<String> {
            self.watched.poll(now);
            std::mem::take(&mut *self.applied.lock().expect("not poisoned"))
        }
    }

    #[test]
    fn a_change_is_taken_once_it_has_settled() {
        let mut files = Files::new();
        assert!(files.poll(false).is_empty() && files.poll(true).is_empty(), "nothing has changed");
        files.write("a", "second");
        assert!(files.poll(false).is_empty(), "the other one may follow");
        files.write("b", "second");
        assert!(files.poll(false).is_empty());
        assert_eq!(files.poll(false), ["second+second"]);
        assert!(files.poll(false).is_empty(), "only once");
        files.write("a", "third");
        assert_eq!(files.poll(true), ["third+second"], "whoever asks for it knows that the file is whole");
    }

    #[test]
    fn what_is_bad_is_tried_once_and_what_was_good_stays() {
        let mut files = Files::new();
        files.write("a", "bad");
        assert_eq!([files.poll(false), files.poll(false), files.poll(false)].concat(), ["bad+first"]);
        assert!(files.watched.reported.is_some());
        assert_eq!(files.poll(true), ["bad+first"], "again for whoever asks");
        fs::remove_file(files.folder.path().join("b")).expect("removed");
        assert!(files.poll(false).is_empty() && files.poll(false).is_empty());
        assert!(matches!(&files.watched.reported, Some(State::Unreadable(error)) if error.contains("/b: ")));
        files.write("a", "first");
        files.write("b", "first");
        assert!(files.poll(false).is_empty(), "what is in use needs no second look");
        assert!(files.watched.reported.is_none());
        // The same bytes in another file are another state.
        files.write("a", "firstf");
        files.write("b", "irst");
        assert_eq!(files.poll(true), ["firstf+irst"]);
    }
}
