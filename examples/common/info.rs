//! What a model file says of itself.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use zosam::model_file::{Card, read_card, shapes};

use super::cli::Info;
use super::output::percent;

/// Prints a file's card or, of a file without one, what its tensors say.
pub fn run(command: &Info) -> Result<()> {
    let path = &command.model;
    let card = read_card(path)?;
    let tensors = shapes(path)?;
    let numbers: usize = tensors
        .values()
        .map(|shape| shape.iter().product::<usize>())
        .sum();
    let bytes = std::fs::metadata(path)?.len();
    eprintln!("{}: {bytes} bytes", path.display());
    line(
        "tensors",
        format!("{} with {numbers} numbers", tensors.len()),
    );
    match &card {
        Some(card) => print(card),
        None => nothing(path),
    }
    if command.json {
        let value = json!({
            "event": "info",
            "file": path,
            "bytes": bytes,
            "tensors": tensors.len(),
            "numbers": numbers,
            "card": card,
        });
        writeln!(std::io::stdout(), "{value}")?;
    }
    Ok(())
}

fn nothing(path: &Path) {
    let is_ours = path
        .extension()
        .is_some_and(|extension| extension == "safetensors");
    line(
        "says",
        "nothing of its network, classes and images".to_string(),
    );
    if is_ours {
        eprintln!(
            "evaluate, predict and --finetune take it with the options of its network and data set."
        );
    } else {
        eprintln!("--finetune takes it with the options of its network.");
    }
}

fn print(card: &Card) {
    line(
        "network",
        format!("{}: {}", card.family(), fields(card.config_json())),
    );
    let classes = card.classes();
    if !classes.is_empty() {
        let some = classes
            .iter()
            .take(10)
            .cloned()
            .collect::<Vec<_>>()
            .join(", ");
        let more = if classes.len() > 10 { ", …" } else { "" };
        line("classes", format!("{}: {some}{more}", classes.len()));
    }
    if let Some(input) = card.input() {
        let [channels, height, width] = input.shape;
        let colour = if channels == 1 { "grey" } else { "colour" };
        line("images", format!("{height} × {width}, {colour}"));
        let (mean, deviation) = (&input.mean, &input.deviation);
        line(
            "normalisation",
            format!("mean {mean:?}, deviation {deviation:?}"),
        );
    }
    if let Some(data) = card.data() {
        line("data set", data.to_string());
    }
    if let Some(method) = card.method() {
        line("method", fields(method));
    }
    for (name, value) in card.results() {
        line(name, format!("{value}"));
    }
    let Some(saved) = card.saved() else {
        return;
    };
    match saved.live {
        Some([live, of]) => {
            let share = percent(1.0 - live as f64 / of.max(1) as f64);
            line(
                "sparsity",
                format!("{share}: {live} of {of} masked weights live"),
            );
        }
        None => line("sparsity", "none: all weights, no masks".to_string()),
    }
    line("weights", saved.weights.clone());
    if let Some(masks) = &saved.masks {
        line("masks", masks.clone());
    }
    line("written by", format!("zosam {}", saved.zosam));
}

fn line(name: &str, text: String) {
    eprintln!("{name:<16}{text}");
}

/// Fields of an object, in one line.
fn fields(value: &Value) -> String {
    match value {
        Value::Object(fields) if fields.len() == 1 => {
            let (name, inner) = fields.iter().next().expect("there is one");
            format!("{name} {}", self::fields(inner))
        }
        Value::Object(fields) => {
            let says = |value: &Value| !value.is_null() && *value != json!([]);
            let fields = fields.iter().filter(|(_, value)| says(value));
            let one = |(name, value): (&String, &Value)| format!("{name} {}", self::fields(value));
            fields.map(one).collect::<Vec<_>>().join(", ")
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
