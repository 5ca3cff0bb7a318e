//! A run folder belongs to one configuration.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use super::files::{parse_json, read};
use crate::disk::write_atomically;
use crate::error::{Error, Result};

/// Writes a run's configuration to a file or, if the file exists, checks that it is the same.
///
/// # Errors
///
/// [`Error::ConfigChanged`] naming the first field that differs, or [`Error::File`].
pub fn claim<T: Serialize>(path: &Path, config: &T) -> Result<()> {
    let given = serde_json::to_value(config)
        .map_err(|error| Error::file(path, "the configuration is not JSON").caused_by(error))?;
    if path.exists() {
        let saved: Value = parse_json(path, &read(path)?)?;
        return compare("", &given, &saved);
    }
    let text = format!("{given:#}\n");
    write_atomically(path, text.as_bytes())
}

fn compare(prefix: &str, given: &Value, saved: &Value) -> Result<()> {
    let (Value::Object(given_fields), Value::Object(saved_fields)) = (given, saved) else {
        return match given == saved {
            true => Ok(()),
            false => Err(Error::ConfigChanged {
                field: prefix.to_string(),
                given: given.to_string(),
                saved: saved.to_string(),
            }),
        };
    };
    let absent = Value::Null;
    let field = |fields: &Map<String, Value>, name: &str| -> Value {
        fields.get(name).unwrap_or(&absent).clone()
    };
    for name in given_fields.keys().chain(saved_fields.keys()) {
        let path = match prefix {
            "" => name.clone(),
            prefix => format!("{prefix}.{name}"),
        };
        compare(
            &path,
            &field(given_fields, name),
            &field(saved_fields, name),
        )?;
    }
    Ok(())
}
