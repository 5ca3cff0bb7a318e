//! Random crop and flip.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::Picture;
use crate::data::random::{Generator, Purpose, generator};
use crate::error::{Error, Result};

/// Random crop of the padded image, then a horizontal flip with probability one half: torchvision's
/// `RandomCrop(size, padding)` and `RandomHorizontalFlip()`.
///
/// | field | default | range |
/// |---|---|---|
/// | `padding` | 4 pixels | 0 to the smaller side of the image |
/// | `flip` | `true` | |
///
/// Padding is black: pixel value 0 before normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Augmentation {
    /// Black pixels added on each side; the crop has the image's own size.
    pub padding: usize,
    /// Whether half of the images are mirrored.
    pub flip: bool,
}

/// What is done to one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// Top row of the crop in the padded image: 0 to 2 × padding.
    pub top: usize,
    /// Left column of the crop in the padded image: 0 to 2 × padding.
    pub left: usize,
    /// Whether the crop is mirrored.
    pub mirrored: bool,
}

impl Default for Augmentation {
    fn default() -> Self {
        Self {
            padding: 4,
            flip: true,
        }
    }
}

impl Augmentation {
    /// Leaves images as they are.
    pub fn none() -> Self {
        Self {
            padding: 0,
            flip: false,
        }
    }

    /// The draw for the image at `index` of its set: a function of the seed, the epoch and the index
    /// only. All (2 × padding + 1)² crops are equally likely.
    pub fn draw(&self, seed: u64, epoch: u64, index: usize) -> Draw {
        self.draw_from(&mut generator(seed, epoch, Purpose::Augmentation, index, 0))
    }

    pub(in crate::data) fn draw_from(&self, generator: &mut Generator) -> Draw {
        let last = self.padding.saturating_mul(2);
        Draw {
            top: generator.random_range(0..=last),
            left: generator.random_range(0..=last),
            mirrored: self.flip && generator.random_bool(0.5),
        }
    }

    /// Appends the cropped and mirrored image, `[channels, height, width]`, to `output`.
    pub fn apply(&self, picture: &Picture, draw: Draw, output: &mut Vec<u8>) {
        let [_, height, width] = picture.shape();
        // Wraps around, and so out of the image, for what lies in the padding above or left of it.
        let source = |position: usize, offset: usize| {
            position.wrapping_add(offset).wrapping_sub(self.padding)
        };
        for plane in picture.pixels().chunks_exact(height * width) {
            for row in 0..height {
                let row = source(row, draw.top);
                let line = match row < height {
                    true => &plane[row * width..][..width],
                    false => &[],
                };
                output.extend((0..width).map(|column| {
                    let column = if draw.mirrored {
                        width - 1 - column
                    } else {
                        column
                    };
                    line.get(source(column, draw.left)).copied().unwrap_or(0)
                }));
            }
        }
    }

    pub(in crate::data) fn validate(&self, [height, width]: [usize; 2]) -> Result<()> {
        match self.padding <= height.min(width) {
            true => Ok(()),
            false => Err(Error::Config {
                field: "augmentation.padding",
                value: format!("{} for images of {height} × {width}", self.padding),
                valid: "at most the smaller side of the images",
            }),
        }
    }
}
