//! Text from a model.

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use serde_json::json;
use zosam::masks::{Execution, Masks};
use zosam::model_file::load;

use crate::common::device::device;
use crate::model::{Gpt, GptConfig};
use crate::options::{GenerateOptions, SampleOptions};
use crate::output::Output;
use crate::text::{END, tensor};

/// Writes on where a prompt stops, by a file.
pub fn run(options: &GenerateOptions) -> Result<()> {
    let device = device(options.machine.device)?;
    let loaded = load::<GptConfig>(&options.model, &device)?;
    let writer = Writer {
        model: &loaded.model,
        masks: &loaded.masks,
        context: loaded.config.context,
        device: &device,
    };
    let output = Output::new(options.machine.json, None);
    writer.show(&options.sample, options.seed, &output)
}

/// A model that writes.
pub struct Writer<'a> {
    /// Without autodiff.
    pub model: &'a Gpt,
    pub masks: &'a Masks,
    pub context: usize,
    pub device: &'a Device,
}

impl Writer<'_> {
    /// Streams the prompt and what follows to the terminal, or makes an event of it.
    pub fn show(&self, sample: &SampleOptions, seed: u64, output: &Output) -> Result<()> {
        let temperature = sample.temperature;
        ensure!(
            temperature.is_finite() && temperature >= 0.0,
            "--temperature is {temperature}: it must be finite and at least 0"
        );
        let mut text = sample.prompt.clone().into_bytes();
        text.iter().try_for_each(|byte| output.write(*byte))?;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        for _ in 0..sample.bytes {
            let next = drawn(&self.predicted(&text)?, temperature, &mut random)?;
            if next == END {
                break;
            }
            output.write(next)?;
            text.push(next);
        }
        output.write(b'\n')?;
        output.event(&json!({
            "event": "text",
            "prompt": sample.prompt,
            "text": String::from_utf8_lossy(&text[sample.prompt.len()..]),
        }))
    }

    /// Logits of what comes after a text, by as much of its end as the model can look back on; an empty one is the beginning of a file.
    fn predicted(&self, text: &[u8]) -> Result<Vec<f32>> {
        let start = text.len().saturating_sub(self.context);
        let seen = match text.is_empty() {
            true => &[END][..],
            false => &text[start..],
        };
        let bytes = tensor(&[seen], self.device);
        let logits = self.masks.run(Execution::Auto, || self.model.logits(bytes));
        let logits = logits.narrow(1, seen.len() - 1, 1).into_data();
        Ok(logits.try_to_vec::<f32>()?)
    }
}

/// A byte of the distribution that logits stand for.
fn drawn(logits: &[f32], temperature: f64, random: &mut ChaCha8Rng) -> Result<u8> {
    let logits = || logits.iter().map(|logit| f64::from(*logit));
    let largest = logits().fold(f64::NEG_INFINITY, f64::max);
    ensure!(
        logits().all(f64::is_finite),
        "the model's logits are not finite: it has diverged in training"
    );
    let likeliest = logits().position(|logit| logit == largest);
    let likeliest = likeliest.context("a byte is one of 256")? as u8;
    if temperature == 0.0 {
        return Ok(likeliest);
    }
    let weights: Vec<f64> = logits()
        .map(|logit| ((logit - largest) / temperature).exp())
        .collect();
    let mut left = random.random::<f64>() * weights.iter().sum::<f64>();
    for (byte, weight) in weights.into_iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return Ok(byte as u8);
        }
    }
    // Rounding.
    Ok(likeliest)
}
