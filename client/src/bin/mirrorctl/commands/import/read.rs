//! Reading a file line by line: JSON lines, or CSV.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    sync::Arc,
};

use serde_json::{Map, Value};

use super::line::ImportLine;
use crate::{
    args::{ImportArgs, ImportFormat},
    connection::secret_file::without_mark,
    exit::Exit,
};

/// A line with something on it: its number in the file, from 1, and what it holds, or what is wrong with it.
pub(super) struct Line<T> {
    pub(super) number: u64,
    pub(super) item: Result<T, String>,
}

type Lines<T> = Box<dyn Iterator<Item = Result<Line<T>, Exit>>>;

/// The lines of a file, as they are read. An error of reading ends them; a malformed line does not.
pub(super) fn lines<T: ImportLine>(args: &ImportArgs) -> Result<Lines<T>, Exit> {
    let shown = args.file.display().to_string();
    let unreadable = move |error: io::Error| Exit::usage(format!("{shown}: {error}"));
    let is_csv = args.file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    let default = if is_csv { ImportFormat::Csv } else { ImportFormat::Jsonl };
    let reader = reader(&args.file).map_err(&unreadable)?;
    match args.format.unwrap_or(default) {
        ImportFormat::Jsonl => Ok(Box::new(json_lines(reader, unreadable))),
        ImportFormat::Csv => csv_lines(reader, unreadable),
    }
}

/// A file, or standard input.
fn reader(file: &Path) -> io::Result<Box<dyn BufRead>> {
    match file.to_str() {
        Some("-") => Ok(Box::new(io::stdin().lock())),
        _ => Ok(Box::new(BufReader::new(File::open(file)?))),
    }
}

/// Blank lines are skipped.
fn json_lines<T: ImportLine>(
    reader: Box<dyn BufRead>,
    unreadable: impl Fn(io::Error) -> Exit,
) -> impl Iterator<Item = Result<Line<T>, Exit>> {
    reader.split(b'\n').zip(1..).filter_map(move |(bytes, number)| {
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => return Some(Err(unreadable(error))),
        };
        let Ok(text) = std::str::from_utf8(&bytes) else {
            return Some(Ok(Line { number, item: Err("is not UTF-8".to_owned()) }));
        };
        let text = if number == 1 { without_mark(text) } else { text };
        let parsed = || serde_json::from_str(text).map_err(|error| without_line(&error));
        (!text.trim().is_empty()).then(|| Ok(Line { number, item: parsed() }))
    })
}

/// The parser sees a single line, so only its column says something.
fn without_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line 1 column ") {
        Some((problem, column)) if column != "0" => format!("{problem} (column {column})"),
        Some((problem, _)) => problem.to_owned(),
        None => text,
    }
}

/// The whole file is read first: the parser knows where a record begins only up to the line breaks before it.
fn csv_lines<T: ImportLine>(
    mut reader: Box<dyn BufRead>,
    unreadable: impl Fn(io::Error) -> Exit + 'static,
) -> Result<Lines<T>, Exit> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(&unreadable)?;
    let bytes: Arc<[u8]> = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes).into();
    let mut numbers = Numbers { bytes: bytes.clone(), offset: 0, number: 1 };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(io::Cursor::new(bytes));
    let headers = reader.headers().map_err(|error| unreadable(io::Error::other(problem(&error))))?.clone();
    if let Some(unknown) = headers.iter().find(|name| !T::COLUMNS.contains(name)) {
        let known = T::COLUMNS.join(", ");
        return Err(unreadable(io::Error::other(format!("line 1: unknown column `{unknown}`: there are {known}"))));
    }
    Ok(Box::new(reader.into_records().filter_map(move |record| {
        let position = match &record {
            Ok(record) => record.position(),
            Err(error) => error.position(),
        };
        let number = numbers.of(position.map_or(0, csv::Position::byte));
        let item = match record {
            // A line of blanks is none.
            Ok(record) if record.iter().all(str::is_empty) => return None,
            Ok(record) if record.len() != headers.len() => {
                Err(format!("has {} fields, and the header has {}", record.len(), headers.len()))
            }
            Ok(record) => serde_json::from_value(object(&headers, &record)).map_err(|error| error.to_string()),
            Err(error) => Err(problem(&error)),
        };
        Some(Ok(Line { number, item }))
    })))
}

/// The numbers of lines, from 1.
struct Numbers {
    bytes: Arc<[u8]>,
    offset: usize,
    number: u64,
}

impl Numbers {
    /// The line of the record that begins here, or after the line breaks here. Records are asked for in their order.
    fn of(&mut self, offset: u64) -> u64 {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX).clamp(self.offset, self.bytes.len());
        let breaks = self.bytes[offset..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = &self.bytes[self.offset..offset + breaks];
        self.number += passed.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
        self.offset = offset + breaks;
        self.number
    }
}

/// What is wrong with a record, without its place.
fn problem(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
        csv::ErrorKind::Io(error) => error.to_string(),
        _ => error.to_string(),
    }
}

/// A record as the object that a line of JSON would be. An empty field is none.
fn object(headers: &csv::StringRecord, record: &csv::StringRecord) -> Value {
    let fields = headers.iter().zip(record).filter(|(_, field)| !field.is_empty());
    let value = |(name, field): (&str, &str)| {
        let value = match name {
            "additional" => Value::Array(words(field).map(Value::from).collect()),
            "regional_gbp_categories" => Value::Object(words(field).map(regional).collect::<Map<_, _>>()),
            _ => Value::from(field),
        };
        (name.to_owned(), value)
    };
    Value::Object(fields.map(value).collect())
}

/// Several values in one field.
fn words(field: &str) -> impl Iterator<Item = &str> {
    field.split([' ', ',', ';']).filter(|word| !word.is_empty())
}

/// `IN=gcid:bakery`, or `IN=` for none.
fn regional(word: &str) -> (String, Value) {
    let (region, gcid) = word.split_once('=').unwrap_or((word, ""));
    (region.to_owned(), if gcid.is_empty() { Value::Null } else { Value::from(gcid) })
}
