//! Contexts: servers by name, in a configuration file. No secret is ever in it, only the files that hold them.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use toml_edit::{DocumentMut, Item, Table, value};

use crate::exit::Exit;

/// Bytes of the file that are read; one of a hundred contexts has some thousand.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// What a context holds.
const SETTINGS: [&str; 3] = ["endpoint", "token_file", "ca_file"];

/// A server, and what it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) endpoint: Option<String>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
}

/// The configuration file as it is.
pub(crate) struct Config {
    path: PathBuf,
    document: DocumentMut,
}

/// The context of this name, or the current one. An empty one where none is named and there is no file.
pub(crate) fn context(name: Option<&str>) -> Result<Context, Exit> {
    match (name.filter(|name| !name.is_empty()), path()) {
        (Some(name), Some(path)) => Config::read(path)?.context(name),
        (Some(name), None) => Err(no_folder(&format!("the context {name}"))),
        (None, Some(path)) => {
            let config = Config::read(path)?;
            config.current().map_or_else(|| Ok(Context::default()), |name| config.context(name))
        }
        (None, None) => Ok(Context::default()),
    }
}

/// Where the file is: `$XDG_CONFIG_HOME/mirrorctl/config.toml`, or under `~/.config`.
fn path() -> Option<PathBuf> {
    // The specification of XDG: a relative path is to be ignored.
    let folder = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || env::var_os("HOME").filter(|home| !home.is_empty()).map(|home| PathBuf::from(home).join(".config"));
    Some(folder.or_else(home)?.join("mirrorctl").join("config.toml"))
}

fn no_folder(what: &str) -> Exit {
    Exit::usage(format!("{what} has no place: neither XDG_CONFIG_HOME nor HOME is set"))
}

impl Config {
    /// Opens the file, to list or change its contexts.
    pub(crate) fn open() -> Result<Self, Exit> {
        Self::read(path().ok_or_else(|| no_folder("the configuration file"))?)
    }

    /// Reads and checks the file; none is as good as an empty one.
    fn read(path: PathBuf) -> Result<Self, Exit> {
        let wrong = |problem: String| Exit::usage(format!("{}: {problem}", path.display()));
        let text = match text(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text.map_err(|error| wrong(error.to_string()))?,
        };
        let document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            wrong(format!("line {line}: {}", error.message().lines().next().unwrap_or_default()))
        })?;
        check(&document).map_err(wrong)?;
        Ok(Self { path, document })
    }

    pub(crate) fn current(&self) -> Option<&str> {
        self.document.get("current").and_then(Item::as_str)
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        let contexts = self.document.get("contexts").and_then(Item::as_table_like);
        contexts.into_iter().flat_map(|table| table.iter().map(|(name, _)| name)).collect()
    }

    pub(crate) fn context(&self, name: &str) -> Result<Context, Exit> {
        let Some(context) = self.document.get("contexts").and_then(|contexts| contexts.get(name)) else {
            let known = match self.names().join(", ") {
                none if none.is_empty() => "there is none".to_owned(),
                names => format!("there is {names}"),
            };
            return Err(Exit::usage(format!("{}: no context {name}: {known}", self.path.display())));
        };
        let text = |key: &str| context.get(key).and_then(Item::as_str).map(str::to_owned);
        let file = |key: &str| text(key).map(|file| self.beside(&file));
        Ok(Context { endpoint: text("endpoint"), token_file: file("token_file"), ca_file: file("ca_file") })
    }

    /// A file that a context names: relative to the configuration file, or to the home folder.
    fn beside(&self, file: &str) -> PathBuf {
        match (file.strip_prefix("~/"), env::var_os("HOME")) {
            (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
            _ => self.path.parent().unwrap_or(Path::new("")).join(file),
        }
    }

    /// Makes a context the current one.
    pub(crate) fn use_context(&mut self, name: &str) -> Result<(), Exit> {
        self.context(name)?;
        self.document["current"] = value(name);
        self.write()
    }

    /// Creates a context, or changes what is given of it. The first one becomes the current one.
    pub(crate) fn set_context(&mut self, name: &str, context: &Context) -> Result<(), Exit> {
        let contexts = self.document.entry("contexts").or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        let entry = &mut contexts[name];
        if entry.is_none() {
            *entry = Item::Table(Table::new());
        }
        let file = |file: &Option<PathBuf>| file.as_ref().map(|file| file.to_string_lossy().into_owned());
        let values = [context.endpoint.clone(), file(&context.token_file), file(&context.ca_file)];
        for (key, text) in SETTINGS.iter().zip(values) {
            if let Some(text) = text {
                entry[key] = value(text);
            }
        }
        if entry.get("endpoint").is_none() {
            return Err(Exit::usage(format!("the context {name} needs an --endpoint")));
        }
        if self.current().is_none() {
            self.document["current"] = value(name);
        }
        self.write()
    }

    /// Replaces the file as a whole, so that no reader meets half of it.
    fn write(&self) -> Result<(), Exit> {
        let wrong = |error: io::Error| Exit::usage(format!("{}: {error}", self.path.display()));
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(wrong)?;
        }
        let new = self.path.with_extension(format!("{}.new", std::process::id()));
        fs::write(&new, self.document.to_string()).map_err(wrong)?;
        #[cfg(unix)]
        fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o600)).map_err(wrong)?;
        fs::rename(&new, &self.path).map_err(wrong)
    }
}

/// The text of the file, unless others can write it: they could point the tool, and its token, at a server of theirs.
fn text(path: &Path) -> io::Result<String> {
    let metadata = fs::metadata(path)?;
    if metadata.len() > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("is longer than {MAX_FILE_BYTES} bytes")));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;

        let mode = metadata.mode() & 0o7777;
        if mode & 0o022 != 0 {
            return Err(io::Error::other(format!("other users can change it (mode {mode:o}): chmod go-w helps")));
        }
    }
    fs::read_to_string(path)
}

/// Whether all of it is known, so that a typo is not silently nothing.
fn check(document: &DocumentMut) -> Result<(), String> {
    for (key, item) in document.iter() {
        match key {
            "current" if item.is_str() => {}
            "contexts" if item.is_table_like() => {}
            "current" => return Err("`current` must be a text".to_owned()),
            "contexts" => return Err("`contexts` must be tables such as [contexts.production]".to_owned()),
            other => return Err(format!("unknown setting `{other}`: there are current and contexts")),
        }
    }
    let contexts = document.get("contexts").and_then(Item::as_table_like);
    for (name, context) in contexts.into_iter().flat_map(|table| table.iter()) {
        let settings = context.as_table_like().ok_or_else(|| format!("the context {name} must be a table"))?;
        for (key, item) in settings.iter() {
            match key {
                "token" => {
                    return Err(format!("the context {name} has a `token`: secrets are not kept here, use token_file"));
                }
                key if !SETTINGS.contains(&key) => {
                    return Err(format!(
                        "the context {name} has an unknown setting `{key}`: there are {}",
                        SETTINGS.join(", ")
                    ));
                }
                key if !item.is_str() => return Err(format!("`{key}` of the context {name} must be a text")),
                _ => {}
            }
        }
    }
    Ok(())
}
