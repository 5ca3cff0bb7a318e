//! The folder of a run.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use zosam::Error;
use zosam::checkpoint::{Store, claim, write_atomically};

use super::Network;
use super::args::Args;
use super::config::{Config, Extension};
use super::lock::locked;
use super::options;

const CONFIG: &str = "config.json";

/// A run's folder, which no other process has while this value lives.
pub struct Folder {
    pub store: Store,
    _lock: Option<File>,
}

/// Opens the output folder: a new run needs an empty one, a run that goes on its own.
pub fn open<C: Network>(args: &Args, config: &mut Config<C>) -> Result<Option<Folder>> {
    let Some(out) = &args.run.out else {
        return Ok(None);
    };
    let path = out.join(CONFIG);
    let shown = out.display();
    let goes_on = args.run.resume || args.run.extend.is_some();
    match path.exists() {
        true if !goes_on => bail!(
            "{shown} holds a run already: add --resume to go on with it, --extend N to train it for longer when it is finished, or choose another --out"
        ),
        false if args.run.extend.is_some() => {
            bail!("{shown} holds no run to extend: leave --extend out to start one")
        }
        _ => {}
    }
    let store = Store::open(out.join("checkpoints"))?;
    let lock = locked(out)?;
    if path.exists() {
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let saved: Value =
            serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        config.take_over(&saved, args.run.extend.is_some());
    }
    claim(&path, config).map_err(|error| advised(error, out))?;
    options::store(out, &args.options)?;
    Ok(Some(Folder { store, _lock: lock }))
}

/// Notes that a finished run is trained for longer.
pub fn extend<C: Network>(out: &Path, config: &mut Config<C>, extension: Extension) -> Result<()> {
    config.extended.push(extension);
    let text = format!("{:#}\n", serde_json::to_value(&*config)?);
    Ok(write_atomically(&out.join(CONFIG), text.as_bytes())?)
}

/// What to do about an option that differs.
fn advised(error: Error, out: &Path) -> anyhow::Error {
    let Error::ConfigChanged {
        field,
        given,
        saved,
    } = &error
    else {
        return error.into();
    };
    let advice = match field.as_str() {
        "epochs" => "to train a finished run for longer, use --extend N; to go on with it as it is",
        _ => "to go on with it",
    };
    let out = out.display();
    anyhow::anyhow!(
        "`{field}` is {given} but the run in {out} has {saved}: {advice}, give --resume --out {out} and no other option; else choose another --out"
    )
}
