//! Mixup and CutMix.

use rand::RngExt;
use rand_distr::{Beta, Distribution};
use serde::{Deserialize, Serialize};

use super::Rectangle;
use crate::data::random::{Generator, Purpose, generator, happens};
use crate::error::{Error, Result, check};

/// Mixup (Zhang et al., arXiv 1710.09412) and CutMix (Yun et al., arXiv 1905.04899) as timm's `Mixup` has them, in mode
/// `batch`: one draw for a whole batch, whose image i is mixed with image n − 1 − i.
///
/// Mixup: `λ x_i + (1 − λ) x_j` with λ of Beta(α, α). CutMix: a rectangle of x_i is that of x_j; its sides are those of the
/// image times `√(1 − λ)`, rounded down, its centre any pixel, and what lies outside is cut off; λ becomes the share that is left of
/// x_i. Both: targets `λ y_i + (1 − λ) y_j`. Mixing is after normalisation and erasing, as in DeiT's code. The
/// image in the middle of an odd batch stays as it is; timm refuses odd batches.
///
/// | field | default (DeiT's) | range |
/// |---|---|---|
/// | `mixup_alpha` | 0.8 | 0 (no mixup) to 1000 |
/// | `cutmix_alpha` | 1 | 0 (no CutMix) to 1000 |
/// | `probability` | 1 | 0 to 1 |
/// | `switch_probability` | 0.5, of CutMix if both are on | 0 to 1 |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Mixup {
    /// Mixup's α.
    pub mixup_alpha: f64,
    /// CutMix's α.
    pub cutmix_alpha: f64,
    /// Probability with which a batch is mixed.
    pub probability: f64,
    /// Probability of CutMix instead of mixup.
    pub switch_probability: f64,
}

impl Default for Mixup {
    fn default() -> Self {
        Self {
            mixup_alpha: 0.8,
            cutmix_alpha: 1.0,
            probability: 1.0,
            switch_probability: 0.5,
        }
    }
}

/// What is done to one batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mix {
    /// Nothing.
    None,
    /// `λ x_i + (1 − λ) x_j`.
    Mixup {
        /// λ, 0 to 1.
        lambda: f64,
    },
    /// The rectangle comes from x_j.
    CutMix {
        /// The rectangle.
        part: Rectangle,
        /// Share of the image outside of the rectangle.
        lambda: f64,
    },
}

impl Mixup {
    /// The draw for a batch by its number in the epoch, with images of `[height, width]`.
    pub fn draw(&self, seed: u64, epoch: u64, batch: usize, size: [usize; 2]) -> Mix {
        let generator = &mut generator(seed, epoch, Purpose::Mixing, batch, 0);
        let is_mixed = happens(generator, self.probability);
        let switches = happens(generator, self.switch_probability);
        let cuts = self.cutmix_alpha > 0.0 && (switches || self.mixup_alpha <= 0.0);
        let alpha = if cuts {
            self.cutmix_alpha
        } else {
            self.mixup_alpha
        };
        let lambda = beta(alpha, generator);
        if !is_mixed || alpha <= 0.0 || lambda == 1.0 || size.contains(&0) {
            return Mix::None;
        }
        match cuts {
            false => Mix::Mixup { lambda },
            true => {
                let center = size.map(|side| generator.random_range(0..side));
                Mix::cut(lambda, center, size)
            }
        }
    }

    pub(in crate::data) fn validate(&self) -> Result<()> {
        let from_0_to = |limit, value| (0.0..=limit).contains(&value);
        for (field, alpha) in [
            ("mixup.mixup_alpha", self.mixup_alpha),
            ("mixup.cutmix_alpha", self.cutmix_alpha),
        ] {
            check(field, alpha, from_0_to(1000.0, alpha), "0 to 1000")?;
        }
        for (field, probability) in [
            ("mixup.probability", self.probability),
            ("mixup.switch_probability", self.switch_probability),
        ] {
            check(field, probability, from_0_to(1.0, probability), "0 to 1")?;
        }
        match self.mixup_alpha > 0.0 || self.cutmix_alpha > 0.0 {
            true => Ok(()),
            false => Err(Error::Config {
                field: "mixup.mixup_alpha",
                value: "0, as cutmix_alpha".into(),
                valid: "above 0 if the other is 0; leave mixup out to mix nothing",
            }),
        }
    }
}

/// λ of Beta(α, α); 1, which mixes nothing, where the distribution is undefined.
fn beta(alpha: f64, generator: &mut Generator) -> f64 {
    let lambda = Beta::new(alpha, alpha).map(|beta| beta.sample(generator));
    lambda
        .ok()
        .filter(|lambda| (0.0..=1.0).contains(lambda))
        .unwrap_or(1.0)
}

impl Mix {
    /// CutMix's rectangle around a centre `[row, column]` in an image of `[height, width]`, and the λ that it
    /// leaves.
    pub fn cut(lambda: f64, center: [usize; 2], size: [usize; 2]) -> Self {
        let ratio = (1.0 - lambda).clamp(0.0, 1.0).sqrt();
        let side = |axis: usize| {
            let length = (size[axis] as f64 * ratio) as usize;
            let center = center[axis].min(size[axis].saturating_sub(1));
            let first = center.saturating_sub(length / 2);
            (first, (center + length.div_ceil(2)).min(size[axis]) - first)
        };
        let ((top, height), (left, width)) = (side(0), side(1));
        let area = (height * width) as f64 / ((size[0] * size[1]).max(1)) as f64;
        let part = Rectangle {
            top,
            left,
            height,
            width,
        };
        Self::CutMix {
            part,
            lambda: 1.0 - area,
        }
    }

    /// Weight of an image's own target.
    pub fn lambda(&self) -> f64 {
        match *self {
            Self::None => 1.0,
            Self::Mixup { lambda } | Self::CutMix { lambda, .. } => lambda,
        }
    }

    /// Mixes images `[images, channels, height, width]`; those that do not fit the shape stay as they are.
    pub fn apply(&self, images: &mut [f32], [_, channels, height, width]: [usize; 4]) {
        let size = channels * height * width;
        match *self {
            Self::None => {}
            Self::Mixup { lambda } => in_pairs(images, size, |a, b| blend(lambda, a, b)),
            Self::CutMix { part, .. } => in_pairs(images, size, |a, b| {
                let columns = part.left.min(width)..(part.left + part.width).min(width);
                let rows = part.top..(part.top + part.height).min(height);
                for line in
                    (0..channels).flat_map(|c| rows.clone().map(move |row| c * height + row))
                {
                    let pixels = line * width + columns.start..line * width + columns.end;
                    a[pixels.clone()].swap_with_slice(&mut b[pixels]);
                }
            }),
        }
    }

    /// Mixes targets `[images, classes]` by λ.
    pub fn mix_targets(&self, targets: &mut [f32], classes: usize) {
        match *self {
            Self::None => {}
            _ => in_pairs(targets, classes, |a, b| blend(self.lambda(), a, b)),
        }
    }
}

/// Single precision, with λ and 1 − λ rounded to it, as PyTorch.
fn blend(lambda: f64, a: &mut [f32], b: &mut [f32]) {
    let (own, other) = (lambda as f32, (1.0 - lambda) as f32);
    for (a, b) in a.iter_mut().zip(b) {
        (*a, *b) = (*a * own + *b * other, *b * own + *a * other);
    }
}

/// Calls `mix` with items 0 and n − 1, 1 and n − 2, and so on.
fn in_pairs(values: &mut [f32], size: usize, mix: impl Fn(&mut [f32], &mut [f32])) {
    let half = values.len() / size.max(1) / 2 * size;
    let (first, rest) = values.split_at_mut(half);
    let pairs = first.chunks_exact_mut(size.max(1));
    for (a, b) in pairs.zip(rest.rchunks_exact_mut(size.max(1))) {
        mix(a, b);
    }
}
