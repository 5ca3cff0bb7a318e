//! The options of a run, kept with it so that going on needs only its folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use zosam::checkpoint::write_atomically;

const FILE: &str = "options.json";

/// What belongs to one call of the program, not to the run.
const OF_THE_CALL: [&str; 6] = ["out", "resume", "extend", "json", "recipe", "layer-times"];

/// The options of a call: with `--resume` and `--extend`, those of the run that the call does not give, before the call's.
pub fn with_stored(
    before: Vec<String>,
    behind: &[String],
    takes_value: impl Fn(&str) -> bool,
) -> Result<Vec<String>> {
    let tokens = [before, behind.to_vec()].concat();
    let (options, _) = split(&tokens, &takes_value);
    let given = names(&options);
    let goes_on = given.contains("resume") || given.contains("extend");
    let Some(path) = folder(&options)
        .filter(|_| goes_on)
        .map(|out| out.join(FILE))
    else {
        return Ok(tokens);
    };
    if !path.exists() {
        return Ok(tokens);
    }
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let stored: Vec<String> =
        serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let (stored, _) = split(&stored, takes_value);
    let missing = stored
        .into_iter()
        .filter(|(name, _)| !given.contains(name.as_str()));
    let missing = missing.flat_map(|(_, tokens)| tokens);
    Ok(missing.chain(tokens.iter().cloned()).collect())
}

/// Of a call's options those that belong to its run.
pub fn of_the_run(tokens: &[String], takes_value: impl Fn(&str) -> bool) -> Vec<String> {
    let (options, _) = split(tokens, takes_value);
    let of_run = options
        .into_iter()
        .filter(|(name, _)| !OF_THE_CALL.contains(&name.as_str()));
    of_run.flat_map(|(_, tokens)| tokens).collect()
}

/// Keeps the options of a new run. What a later call gives besides, the learning rate of an extension say, is the call's.
pub fn store(folder: &Path, options: &[String]) -> Result<()> {
    if folder.join(FILE).exists() {
        return Ok(());
    }
    let text = format!("{:#}\n", serde_json::json!(options));
    Ok(write_atomically(&folder.join(FILE), text.as_bytes())?)
}

/// The folder that `--out` names.
fn folder(options: &[(String, Vec<String>)]) -> Option<PathBuf> {
    let (_, tokens) = options.iter().rev().find(|(name, _)| name == "out")?;
    match tokens.as_slice() {
        [_, folder] => Some(PathBuf::from(folder)),
        [token] => Some(PathBuf::from(token.split_once('=')?.1)),
        _ => None,
    }
}

/// Options by name, each with its tokens, and the tokens from the first on that is none.
pub fn split(
    tokens: &[String],
    takes_value: impl Fn(&str) -> bool,
) -> (Vec<(String, Vec<String>)>, &[String]) {
    let mut options = Vec::new();
    let mut at = 0;
    while let Some(name) = tokens.get(at).and_then(|token| token.strip_prefix("--")) {
        let (name, has_value) = match name.split_once('=') {
            Some((name, _)) => (name, false),
            None => (name, takes_value(name)),
        };
        let end = (at + 1 + usize::from(has_value)).min(tokens.len());
        options.push((name.to_string(), tokens[at..end].to_vec()));
        at = end;
    }
    (options, &tokens[at..])
}

/// Names of options among tokens.
pub fn names(options: &[(String, Vec<String>)]) -> BTreeSet<&str> {
    options.iter().map(|(name, _)| name.as_str()).collect()
}
