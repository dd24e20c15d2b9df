//! One server a folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;

use crate::data_dir::DataDir;
use crate::error::Error;

/// Held for as long as the folder is in use. The kernel lets go of it when the process ends, however it ends, so it is never stale.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock at once or says who has it.
    pub(crate) fn take(dir: &DataDir) -> Result<Self, Error> {
        let path = dir.join("lock");
        let failed = Error::io(&path);
        // Not truncated: it holds the other server's process id.
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = match opened {
            Ok(file) => file,
            Err(error) => return Err(failed(error)),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only for the message, and it may not be written yet.
                let _ = file.read_to_string(&mut holder);
                return Err(Error::Locked { path: dir.path().to_owned(), holder: holder.trim().parse().ok() });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(failed)?;
        Ok(Self { _file: file })
    }
}
