//! Text from a model.

use std::ops::Range;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use serde_json::json;
use zosam::model_file::load;

use crate::common::device::device;
use crate::decode::Decoder;
use crate::model::{Gpt, GptConfig};
use crate::options::{GenerateOptions, SampleOptions};
use crate::output::Output;
use crate::text::END;

/// Writes on where a prompt stops, by a file.
pub fn run(options: &GenerateOptions) -> Result<()> {
    let device = device(options.machine.device)?;
    let loaded = load::<GptConfig>(&options.model, &device)?;
    let output = Output::new(options.machine.json, None);
    let writer = Writer {
        model: &loaded.model,
        config: &loaded.config,
    };
    writer.show(&options.sample, options.seed, &output)
}

/// A model that writes.
pub struct Writer<'a> {
    /// Without autodiff; dead weights are zero.
    pub model: &'a Gpt,
    pub config: &'a GptConfig,
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
        let mut reader = Reader::new(Decoder::new(self.model, self.config)?);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut seconds = 0.0;
        for _ in 0..sample.bytes {
            let started = Instant::now();
            let next = drawn(&reader.predicted(&text)?, temperature, &mut random)?;
            seconds += started.elapsed().as_secs_f64();
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
            "bytes_per_second": reader.bytes as f64 / seconds,
        }))
    }
}

/// What has been read of a text that grows.
struct Reader {
    decoder: Decoder,
    /// Where in the text the decoder's begins, and where it ends.
    seen: Range<usize>,
    /// Bytes read in all.
    bytes: usize,
}

impl Reader {
    fn new(decoder: Decoder) -> Self {
        Self {
            decoder,
            seen: 0..0,
            bytes: 0,
        }
    }

    /// Logits of what comes after a text; an empty one is the beginning of a file. When the model can look back no further, it forgets
    /// the earlier half of what it has seen.
    fn predicted(&mut self, text: &[u8]) -> Result<Vec<f32>> {
        let mut logits = None;
        if text.is_empty() {
            logits = Some(self.decoder.read(END)?);
            self.decoder.forget();
        }
        while self.seen.end < text.len() {
            if self.decoder.is_full() {
                let kept = self.seen.len() / 2;
                self.decoder.forget();
                self.seen = self.seen.end - kept..self.seen.end - kept;
            }
            logits = Some(self.decoder.read(text[self.seen.end])?);
            self.seen.end += 1;
            self.bytes += 1;
        }
        logits.context("a text has grown since it was last seen")
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
