//! Layers that make images smaller, without weights.

use rayon::prelude::*;

use super::layer::Layer;
use crate::error::Result;

/// The largest number under a square window; what lies outside of the image does not count.
#[derive(Debug, Clone)]
pub(crate) struct MaxPool {
    /// Channels, height and width of the input.
    pub input: [usize; 3],
    pub window: usize,
    pub stride: usize,
    pub padding: usize,
}

impl MaxPool {
    /// Height and width of the output; 0 where no window fits.
    pub fn output(&self) -> [usize; 2] {
        [self.input[1], self.input[2]].map(|size| {
            let room = (size + 2 * self.padding).checked_sub(self.window);
            room.map_or(0, |room| room / self.stride + 1)
        })
    }

    /// The largest of each column under the windows of a row of outputs.
    fn columns(&self, plane: &[f32], row: usize, highest: &mut [f32]) {
        let [_, height, width] = self.input;
        let end = (row * self.stride + self.window).saturating_sub(self.padding);
        let start = (row * self.stride).saturating_sub(self.padding);
        highest.fill(f32::NEG_INFINITY);
        for line in plane[start * width..end.min(height) * width].chunks_exact(width) {
            for (highest, &number) in highest[self.padding..].iter_mut().zip(line) {
                *highest = larger(*highest, number);
            }
        }
    }
}

/// NaN if one of both is, as in PyTorch.
fn larger(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}

impl Layer for MaxPool {
    fn sizes(&self) -> [usize; 2] {
        let [channels, height, width] = self.input;
        let [rows, columns] = self.output();
        [channels * height * width, channels * rows * columns]
    }

    fn run(&self, input: &[f32], output: &mut [f32]) -> Result<()> {
        let [_, height, width] = self.input;
        let [rows, columns] = self.output();
        let planes = input.par_chunks_exact(height * width);
        let planes = planes.zip(output.par_chunks_exact_mut(rows * columns));
        planes.for_each(|(plane, output)| {
            let mut highest = vec![0.0; width + 2 * self.padding];
            for (row, output) in output.chunks_exact_mut(columns).enumerate() {
                self.columns(plane, row, &mut highest);
                let windows = highest.windows(self.window).step_by(self.stride);
                for (window, output) in windows.zip(output) {
                    let (first, rest) = (window[0], &window[1..]);
                    *output = rest.iter().fold(first, |a, &b| larger(a, b));
                }
            }
        });
        Ok(())
    }
}

/// The mean of each channel.
#[derive(Debug, Clone)]
pub(crate) struct Mean {
    pub channels: usize,
    /// Numbers in a channel.
    pub plane: usize,
}

impl Layer for Mean {
    fn sizes(&self) -> [usize; 2] {
        [self.channels * self.plane, self.channels]
    }

    fn run(&self, input: &[f32], output: &mut [f32]) -> Result<()> {
        for (plane, mean) in input.chunks_exact(self.plane).zip(output) {
            *mean = plane.iter().sum::<f32>() / self.plane as f32;
        }
        Ok(())
    }
}

/// Every other pixel, between channels of zeros.
#[derive(Debug, Clone)]
pub(crate) struct Subsample {
    /// Channels, height and width of the input.
    pub input: [usize; 3],
    /// Channels of zeros before and after.
    pub zeros: [usize; 2],
}

impl Layer for Subsample {
    fn sizes(&self) -> [usize; 2] {
        let [channels, height, width] = self.input;
        let plane = height.div_ceil(2) * width.div_ceil(2);
        let outputs = self.zeros[0] + channels + self.zeros[1];
        [channels * height * width, outputs * plane]
    }

    fn run(&self, input: &[f32], output: &mut [f32]) -> Result<()> {
        let [inputs, outputs] = self.sizes();
        let [channels, height, width] = self.input;
        let plane = height.div_ceil(2) * width.div_ceil(2);
        output.fill(0.0);
        let images = input.chunks_exact(inputs);
        for (image, output) in images.zip(output.chunks_exact_mut(outputs)) {
            let live = &mut output[self.zeros[0] * plane..][..channels * plane];
            let lines = image.chunks_exact(height * width);
            let lines = lines.flat_map(|plane| plane.chunks_exact(width).step_by(2));
            let pixels = lines.flat_map(|line| line.iter().step_by(2));
            for (to, from) in live.iter_mut().zip(pixels) {
                *to = *from;
            }
        }
        Ok(())
    }
}
