//! Options from a file.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A run as somebody published it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    /// Where it is from.
    source: String,
    /// The program it is for.
    program: String,
    /// What the source says.
    #[allow(dead_code, reason = "for the reader of the file")]
    known: Vec<String>,
    /// What it does not say.
    assumed: Vec<String>,
    options: Map<String, Value>,
}

/// The command line with the options of its `--recipe` before the user's, which therefore win.
pub fn expanded(mut arguments: Vec<String>, program: &str) -> Result<Vec<String>> {
    let Some(path) = named(&arguments) else {
        return Ok(arguments);
    };
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let recipe: Recipe = serde_json::from_str(&text).with_context(|| path.clone())?;
    if recipe.program != program {
        bail!(
            "{path}: it is a recipe for `{}`, not for `{program}`",
            recipe.program
        );
    }
    eprintln!("recipe: {}", recipe.source);
    for assumption in &recipe.assumed {
        eprintln!("  assumed: {assumption}");
    }
    let mut options = Vec::new();
    for (name, value) in recipe.options {
        options.push(format!("--{name}"));
        options.push(match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            other => bail!("{path}: option `{name}` is {other}, not a text or a number"),
        });
    }
    arguments.splice(1..1, options);
    Ok(arguments)
}

/// The file that `--recipe` names.
fn named(arguments: &[String]) -> Option<String> {
    let position = arguments
        .iter()
        .position(|argument| argument == "--recipe" || argument.starts_with("--recipe="))?;
    match arguments[position].split_once('=') {
        Some((_, path)) => Some(path.to_string()),
        None => arguments.get(position + 1).cloned(),
    }
}
