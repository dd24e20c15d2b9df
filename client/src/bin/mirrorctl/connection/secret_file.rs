//! Files that hold secrets, and what editors leave in files.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use zeroize::Zeroizing;

use crate::show::stderr::say;

/// Bytes of such a file that are read; tokens, keys and certificates have some thousand.
const MAX_FILE: u64 = 64 * 1024;

/// A file's text without a byte order mark at its start, which editors and spreadsheets put there.
pub(crate) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// What a file holds, wiped from memory when it is dropped.
pub(crate) fn read(file: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let open = File::open(file)?;
    // Room for all of it at once: a vector that grows leaves copies of the secret behind.
    let room = open.metadata().map_or(MAX_FILE, |metadata| metadata.len().min(MAX_FILE));
    let mut contents = Zeroizing::new(Vec::with_capacity(usize::try_from(room).unwrap_or(0) + 64));
    open.take(MAX_FILE + 1).read_to_end(&mut contents)?;
    if contents.len() as u64 > MAX_FILE {
        return Err(io::Error::other(format!("is longer than {MAX_FILE} bytes")));
    }
    Ok(contents)
}

/// Warns of a file that other users of this machine can read, or change. Not a refusal: a secret that Kubernetes mounts has mode 0644
/// unless it is told otherwise.
pub(crate) fn warn_if_exposed(setting: &str, file: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;

        // What cannot be read is an error where it is read; a pipe is nobody else's.
        let Ok(metadata) = std::fs::metadata(file) else { return };
        let mode = metadata.mode() & 0o7777;
        if metadata.is_file() && mode & 0o006 != 0 {
            let file = file.display();
            say(format_args!("warning: {setting} {file}: other users of this machine can read it (mode {mode:o})"));
        }
    }
    #[cfg(not(unix))]
    let _ = (setting, file);
}
