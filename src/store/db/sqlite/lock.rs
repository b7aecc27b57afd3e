//! One process writes (rule 21): an exclusive lock on `<database>.lock`, with the holder's name inside for whoever comes second.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::store::error::StoreError;

/// How much of a lock file is read: whoever wrote it.
const HOLDER_BYTES: u64 = 512;

/// Held as long as the process writes; the kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a database, or names its holder.
    pub(super) fn take(database: &Path) -> Result<Self, StoreError> {
        let path = lock_path(database);
        let mut file = open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { path: database.to_owned(), holder: holder(&file) });
            }
            Err(TryLockError::Error(error)) => {
                return Err(StoreError::Database {
                    database: path.display().to_string(),
                    problem: format!("cannot be locked ({})", error.kind()),
                });
            }
        }
        // Who cannot write the name still holds the lock: the name only helps people.
        let _ = sign(&mut file);
        Ok(Self { _file: file })
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn open(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(|error| StoreError::Database {
        database: path.display().to_string(),
        problem: format!("cannot be opened for writing ({}); the folder must exist and be writable", error.kind()),
    })
}

fn sign(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    let now = jiff::Timestamp::now().round(jiff::Unit::Second).unwrap_or_else(|_| jiff::Timestamp::now());
    writeln!(file, "process {} on {}, since {now}", std::process::id(), host())?;
    file.sync_data()
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "an unnamed host".to_owned())
}

fn holder(mut file: &File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(HOLDER_BYTES).read_to_string(&mut text));
    let name = crate::domain::text::display(text.trim(), 200);
    if read.is_err() || name.is_empty() { "another process".to_owned() } else { name }
}
